// What a federation of so many silos must stand, and where nothing would protect them.
#include "privacy/secure_plan.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "privacy/model_hash.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

std::vector<RosterEntry> roster_of(std::size_t silos, std::size_t of_one_domain = 0) {
    std::vector<RosterEntry> roster;
    for (std::size_t silo = 0; silo < silos; ++silo) {
        roster.push_back({.name = fmt::format("s{}", silo), .public_key = {}, .domain = silo < of_one_domain ? "county" : ""});
    }
    return roster;
}

TEST(SecurePlan, AThirdOfTheSilosMayBeCorruptBelowIt) {
    for (std::uint32_t silos = 3; silos <= 64; ++silos) {
        const SecurePlan plan = plan_secure_sum(roster_of(silos), {});
        EXPECT_LT(3 * plan.corrupt, silos);
        EXPECT_GE(3 * (plan.corrupt + 1), silos);
        EXPECT_EQ(plan.neighbours, silos - 1);
        EXPECT_GT(2 * plan.threshold, silos + plan.corrupt) << "both kinds of shares would open a mask";
        EXPECT_GE(plan.least_trained, std::max(3U, plan.corrupt + 2));
        EXPECT_NO_THROW(terms_with(plan, silos).check()) << silos;
    }
    EXPECT_EQ(plan_secure_sum(roster_of(3), {}).threshold, 3U) << "three silos stand no leaver";
}

TEST(SecurePlan, ACorruptDomainCountsAllItsSilos) {
    const SecurePlan plan = plan_secure_sum(roster_of(9, 4), {.corrupt = 0.25});
    EXPECT_EQ(plan.corrupt_domains, 1U);
    EXPECT_EQ(plan.corrupt, 4U);
    EXPECT_EQ(plan.least_trained, 3U);
    EXPECT_GT(2 * plan.threshold, 13U);
}

TEST(SecurePlan, ManySilosMaskWithSome) {
    const SecurePlan plan = plan_secure_sum(roster_of(256), {.corrupt = 0.05, .dropouts = 0.05});
    EXPECT_LT(plan.neighbours, 60U);
    EXPECT_EQ(plan_secure_sum(roster_of(256), {.graph = "complete", .corrupt = 0.05}).neighbours, 255U);
    EXPECT_EQ(plan_secure_sum(roster_of(64), {}).neighbours, 63U);
    EXPECT_EQ(plan_secure_sum(roster_of(65), {.dropouts = 0.4}).neighbours, 64U) << "no sparse graph stands so many leavers";
    for (const std::uint32_t silos : {65U, 100U, 256U}) {
        const SecurePlan of = plan_secure_sum(roster_of(silos), {});
        EXPECT_LT(of.neighbours, silos - 1);
        EXPECT_NO_THROW(terms_with(of, silos).check()) << silos;
        EXPECT_EQ(of.least_members, silos - silos / 20) << "a twentieth may leave";
    }
}

TEST(SecurePlan, IsRefusedWhereNothingProtects) {
    const auto refusal = [](const std::vector<RosterEntry>& roster, const SecureNeeds& needs) {
        return message_of<UsageError>([&] { (void)plan_secure_sum(roster, needs); });
    };
    EXPECT_THAT(refusal(roster_of(2), {}), testing::HasSubstr("2 silos of 2 domains"));
    EXPECT_THAT(refusal(roster_of(5, 4), {}), testing::HasSubstr("5 silos of 2 domains"));
    EXPECT_THAT(refusal(roster_of(20), {.graph = "harary", .dropouts = 0.45}), testing::HasSubstr("no sparse graph"));
}

// By Python's hashlib: SHA-256 of "silosum/v2/model", 0, the number of parameters in 8 bytes, the SHA-256 of the layout, and of each leaf
// the SHA-256 of "silosum/v2/leaf", 0 and the SHA-256 of each of its pieces.
TEST(ModelHash, IsATreeOfPiecesOfLeaves) {
    std::vector<float> model(hash_leaf_floats + 3);
    for (std::size_t i = 0; i < model.size(); ++i) model[i] = static_cast<float>(i % 97) - 48;
    EXPECT_EQ(crypto::hex(hash_of_model(model, "a 3")), "8179913c4ff0c50204f2dbadd3a7595bb37f5a125087705744164a0a508f9091");
}

TEST(ModelHash, TellsEveryChange) {
    std::vector<float> model(hash_leaf_floats + 3, 1.0F);
    const auto hash = hash_of_model(model, "a 3");
    EXPECT_EQ(hash_of_model(model, "a 3"), hash);
    EXPECT_NE(hash_of_model(model, "b 3"), hash);
    for (const std::size_t i : {std::size_t{0}, hash_leaf_floats - 1, hash_leaf_floats, model.size() - 1}) {
        auto changed = model;
        changed[i] = 2;
        EXPECT_NE(hash_of_model(changed, "a 3"), hash) << i;
    }
    EXPECT_NE(hash_of_model(std::span(model).first(hash_leaf_floats), "a 3"), hash);
}

}  // namespace
}  // namespace silosum
