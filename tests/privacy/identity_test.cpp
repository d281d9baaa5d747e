// Keys that others could have read, or that two jobs would use, are refused; a roster vouches for each silo once, and for a time.
#include "privacy/identity.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/fixed_entropy.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using testing::HasSubstr;

class IdentityTest : public testing::Test {
protected:
    TemporaryFolder folder_;
    std::string make(const std::string& silo, const std::string& domain = "") {
        return make_key_file(folder_.path(), silo, domain, "2098-12-31", entropy_);
    }
    std::filesystem::path write_roster(const std::vector<std::string>& entries) {
        nlohmann::json json{{"format", "silosum-roster"}, {"version", 1}, {"silos", nlohmann::json::array()}};
        for (const auto& entry : entries) json["silos"].push_back(nlohmann::json::parse(entry));
        const auto file = folder_ / "roster.json";
        std::ofstream(file) << json.dump();
        return file;
    }
    FixedEntropy entropy_{3};
};

TEST_F(IdentityTest, ANewKeyIsItsOwnersOnlyAndMatchesItsEntry) {
    const auto entry = nlohmann::json::parse(make("north", "county"));
    const auto permissions = std::filesystem::status(folder_ / "north.key").permissions();
    EXPECT_EQ(permissions & std::filesystem::perms::all, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    (void)make_key_file(folder_ / "new", "north", "", "2098-12-31", entropy_);
    EXPECT_EQ(std::filesystem::status(folder_ / "new").permissions() & std::filesystem::perms::all, std::filesystem::perms::owner_all);
    const Identity identity = Identity::in_folder(folder_.path(), "north");
    EXPECT_EQ(entry["public_key"], crypto::hex(identity.keys.public_key));
    EXPECT_EQ(entry["domain"], "county");
    EXPECT_EQ(entry.dump().find(crypto::hex(identity.keys.seed.view())), std::string::npos);
}

TEST_F(IdentityTest, AKeyIsNeverReplaced) {
    (void)make("north");
    EXPECT_THAT(message_of<UsageError>([&] { (void)make("north"); }), HasSubstr("is there already"));
    EXPECT_THAT(message_of<UsageError>([&] { (void)make("../north"); }), HasSubstr("a slash"));
    const auto refusal = [&](const std::string& day) {
        return message_of<UsageError>([&] { (void)make_key_file(folder_.path(), "south", "", day, entropy_); });
    };
    for (const std::string day : {"soon", "2098-13-01", "2097-02-29", "2098-00-10"})
        EXPECT_THAT(refusal(day), HasSubstr("YYYY-MM-DD")) << day;
    EXPECT_THAT(refusal("2020-12-31"), HasSubstr("is over"));
}

TEST_F(IdentityTest, AKeyThatOthersMayReadIsRefused) {
    (void)make("north");
    std::filesystem::permissions(folder_ / "north.key", std::filesystem::perms::group_read, std::filesystem::perm_options::add);
    EXPECT_THAT(message_of<DataError>([&] { (void)Identity::in_folder(folder_.path(), "north"); }), HasSubstr("can be read by others"));
}

TEST_F(IdentityTest, AKeyOfAnotherSiloOrNoneIsRefused) {
    (void)make("north");
    std::filesystem::rename(folder_ / "north.key", folder_ / "south.key");
    EXPECT_THAT(message_of<DataError>([&] { (void)Identity::in_folder(folder_.path(), "south"); }), HasSubstr("is of silo \"north\""));
    EXPECT_THAT(message_of<DataError>([&] { (void)Identity::in_folder(folder_.path(), "north"); }), HasSubstr("silosum keygen"));
    std::ofstream(folder_ / "south.key") << "text";
    EXPECT_THAT(message_of<DataError>([&] { (void)Identity::in_folder(folder_.path(), "south"); }), HasSubstr("is no key of silosum"));
}

TEST_F(IdentityTest, OneJobAtATimeHasAnIdentity) {
    (void)make("north");
    {
        const Identity first = Identity::in_folder(folder_.path(), "north");
        EXPECT_THAT(message_of<UsageError>([&] { (void)Identity::in_folder(folder_.path(), "north"); }),
                    HasSubstr("in use by another job"));
    }
    EXPECT_NO_THROW((void)Identity::in_folder(folder_.path(), "north"));
}

TEST_F(IdentityTest, ARosterVouchesForEachSiloOnce) {
    const std::string north = make("north");
    const std::string south = make("south", "county");
    const auto roster = read_roster(write_roster({north, south}), "2098-12-31");
    ASSERT_EQ(roster.size(), 2U);
    EXPECT_EQ(roster[1].name, "south");
    EXPECT_EQ(roster[1].domain, "county");
    const auto refusal = [&](const std::vector<std::string>& entries, const std::string& day = "2026-01-01") {
        return message_of<DataError>([&] { (void)read_roster(write_roster(entries), day); });
    };
    EXPECT_THAT(refusal({north, north}), HasSubstr("has silo \"north\" twice"));
    auto other = nlohmann::json::parse(north);
    other["silo"] = "west";
    EXPECT_THAT(refusal({north, other.dump()}), HasSubstr("silo \"west\" has the public key of another"));
    EXPECT_THAT(refusal({north}, "2099-01-01"), HasSubstr("the key of silo \"north\" was valid until 2098-12-31, today is 2099-01-01"));
    auto misspelt = nlohmann::json::parse(south);
    misspelt["domian"] = "county";
    EXPECT_THAT(refusal({misspelt.dump()}), HasSubstr("has an entry with \"domian\""));
    other["public_key"] = "12";
    EXPECT_THAT(refusal({other.dump()}), HasSubstr("64 hex digits"));
    std::ofstream(folder_ / "roster.json") << "{}";
    EXPECT_THAT(message_of<DataError>([&] { (void)read_roster(folder_ / "roster.json", "2026-01-01"); }), HasSubstr("is no roster"));
    EXPECT_THAT(message_of<DataError>([&] { (void)read_roster(folder_ / "none.json", "2026-01-01"); }), HasSubstr("cannot read"));
}

TEST(Today, IsADay) {
    EXPECT_THAT(today(), testing::MatchesRegex("20[0-9][0-9]-[0-1][0-9]-[0-3][0-9]"));
}

}  // namespace
}  // namespace silosum
