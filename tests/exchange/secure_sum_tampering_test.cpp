// A relay that changes what ranks send or what collectives give back, by standing between the program and MPI: with
// exchange.integrity = tags the round is refused by name on all ranks and the model stays; without, nobody notices.
#include "exchange/secure_sum.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include "comm/agreement.hpp"
#include "exchange/exact_sum.hpp"
#include "exchange/rounds.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

// What the relay does on this rank, to the next message or sum that is long enough.
struct Relay {
    enum class Way { nothing, message, sum, silence };
    Way way = Way::nothing;
    int least_bytes = 0;
    int from_end = 0;  // the byte that is spoilt; 0: the one in the middle
    bool has_struck = false;

    void spoil(Way at, void* bytes, int size) {
        if (at != way || size < least_bytes || has_struck) return;
        static_cast<std::uint8_t*>(bytes)[from_end == 0 ? size / 2 : size - from_end] ^= 0x10;
        has_struck = true;
    }
};
Relay relay;

}  // namespace
}  // namespace silosum

extern "C" int MPI_Isend(const void* bytes, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request* request) {
    silosum::relay.spoil(silosum::Relay::Way::message, const_cast<void*>(bytes), count);
    return PMPI_Isend(bytes, count, type, to, tag, comm, request);
}
// Sums are spoilt by what this rank puts in after its silo has tagged it.
extern "C" int MPI_Iallreduce(const void* in, void* out, int count, MPI_Datatype type, MPI_Op operation, MPI_Comm comm,
                              MPI_Request* request) {
    int size = 0;
    MPI_Type_size(type, &size);
    silosum::relay.spoil(silosum::Relay::Way::sum, out, count * size);
    return PMPI_Iallreduce(in, out, count, type, operation, comm, request);
}
extern "C" int MPI_Iallgather(const void* in, int count, MPI_Datatype type, void* out, int out_count, MPI_Datatype out_type, MPI_Comm comm,
                              MPI_Request* request) {
    const std::uint32_t nothing = 0;
    if (silosum::relay.way != silosum::Relay::Way::silence || count != sizeof nothing)
        return PMPI_Iallgather(in, count, type, out, out_count, out_type, comm, request);
    PMPI_Iallgather(&nothing, count, type, out, out_count, out_type, comm, request);
    PMPI_Wait(request, MPI_STATUS_IGNORE);
    return PMPI_Ibarrier(MPI_COMM_SELF, request);
}

namespace silosum {
namespace {

using testing::HasSubstr;

class Tampering : public testing::Test {
protected:
    Tampering() {
        c.config.secure = true;
        c.config.identities = "throwaway";
        c.config.corrupt = 0;
        c.config.transport = "messages";
        c.config.integrity = "tags";
        c.parameters = 60'000;  // words are longer than any message of the protocol
    }
    // What all ranks say of a round; nothing where it ends well. The relay of one rank strikes while it lasts.
    [[nodiscard]] std::string refusal(int rank = -1, const Relay& striking = {}) {
        SecureGroup group(world, c.config, c.names(), c.hosted(world), c.ranks_per_silo);
        SecureSum secure(world, c.config, c.setup(world, 2), group);
        std::vector<float> model = c.first_model();
        std::string said;
        if (rank == world.rank()) relay = striking;
        try {
            (void)play(world, c, secure, c.round(), model, [](std::uint32_t silo) { return std::vector<double>{0.5 * silo, 1}; });
        } catch (const AgreedError& error) {
            said = error.what();
            EXPECT_EQ(model, c.first_model());
        }
        EXPECT_EQ(relay.has_struck, rank == world.rank());
        relay = {};
        return said;
    }

    Communicator world = Communicator::world();
    Case c;
    const Relay with_words{.way = Relay::Way::message, .least_bytes = 40'000};
    const Relay with_counters{.way = Relay::Way::sum, .least_bytes = 2 * exact_limbs * 8};
};

TEST_F(Tampering, HasTheBitsOfThePlainSumWhereNobodyTampers) {
    for (const std::uint64_t bits : {32U, 64U}) {
        for (const std::string transport : {"auto", "messages"}) {
            c.config.ring_bits = bits;
            c.config.transport = transport;
            SecureGroup group(world, c.config, c.names(), c.hosted(world));
            SecureSum secure(world, c.config, c.setup(world), group);
            Case open = c;
            open.config.secure = false;
            ExactSum plain(world, open.config, open.setup(world));
            std::vector<float> model = c.first_model();
            std::vector<float> plain_model = model;
            EXPECT_EQ(play(world, c, secure, c.round(), model).mean, play(world, open, plain, c.round(), plain_model).mean);
            EXPECT_EQ(model, plain_model);
        }
    }
}

TEST_F(Tampering, WithAMessageOfWordsIsRefused) {
    EXPECT_THAT(refusal(world.size() - 1, with_words),
                HasSubstr("secure sum refused: the sum is not that of the words that the silos sent"));
}

// The first rank of a group signs for the words of the others too.
TEST_F(Tampering, WithWordsOfAnyRankOfAGroupIsRefused) {
    if (world.size() != 4) GTEST_SKIP() << "wants two groups of two";
    c.ranks_per_silo = 2;
    EXPECT_EQ(refusal(), "");
    for (int rank = 0; rank < world.size(); ++rank) {
        EXPECT_THAT(refusal(rank, with_words), HasSubstr("secure sum refused: the sum is not that of the words that the silos sent"));
    }
}

TEST_F(Tampering, WithTheSumOfCountersIsRefused) {
    EXPECT_THAT(refusal(0, with_counters), HasSubstr("secure sum refused: the sum is not that of the words that the silos sent"));
}

// A rank that has found something, and that the relay keeps from telling the others, does not go on.
TEST_F(Tampering, ARankThatIsMadeSilentBelievesItself) {
    const bool is_silent = world.rank() == world.size() - 1;
    const std::optional<Error> found = is_silent ? std::optional<Error>(RuntimeError("found")) : std::nullopt;
    if (is_silent) relay = {.way = Relay::Way::silence};
    const auto agree = [&] { agree_on_error(world, found); };
    if (is_silent) {
        EXPECT_EQ(message_of<Error>(agree), "found");
    } else {
        EXPECT_NO_THROW(agree());
    }
    if (is_silent) {
        EXPECT_THAT(message_of<RuntimeError>([&] { (void)is_on_any(world, true); }), HasSubstr("did not arrive"));
    } else {
        EXPECT_FALSE(is_on_any(world, false));
    }
    relay = {};
    EXPECT_TRUE(is_on_any(world, is_silent));
    EXPECT_FALSE(is_on_any(world, false));
}

// What the option is for; the threat model says so.
TEST_F(Tampering, IsNotNoticedWithoutTags) {
    c.config.integrity = "none";
    EXPECT_EQ(refusal(0, with_words), "");
}

// As it is where a mask is missing or of other terms: the words at the end of each message count silos.
TEST_F(Tampering, CheckWordsTellWrongMasksAlsoWithoutTags) {
    c.config.integrity = "none";
    Relay with_check_words = with_words;
    with_check_words.from_end = 7;
    EXPECT_THAT(refusal(0, with_check_words), HasSubstr("do not count 5 silos: somebody has given other words or masks"));
}

TEST_F(Tampering, AnMpiThatDoesNotWrapIsRefused) {
    relay = {.way = Relay::Way::sum, .least_bytes = 4};
    EXPECT_THAT(message_of<Error>([&] { ExactSum(world, c.config, c.setup(world)); }),
                HasSubstr("does not add 32-bit integers with wrap-around"));
    relay = {};
}

TEST_F(Tampering, EveryRankMustHostASilo) {
    c.placement = all_on_last;
    EXPECT_THAT(message_of<AgreedError>([&] { (void)refusal(); }), HasSubstr("exchange.integrity = tags: rank 0 hosts no silo"));
}

TEST_F(Tampering, ARankWhoseOnlySiloLeftEndsTheRound) {
    if (world.size() < 3) GTEST_SKIP() << "every rank hosts two silos";
    c.config.weights = "uniform";
    c.silos = static_cast<std::size_t>(world.size()) + 2;
    c.config.rehearse_leaving = {"1:s2:entry"};
    EXPECT_THAT(refusal(), HasSubstr("rank 2 has no silo in the sum that could sign tags of its part"));
}

TEST_F(Tampering, ASiloThatLeavesAfterItsWordsEndsTheRound) {
    c.config.weights = "uniform";
    c.silos = 6;
    c.config.rehearse_leaving = {"1:s1:signature"};
    EXPECT_THAT(refusal(), HasSubstr("silo \"s1\" did not show the coin that it promised"));
    c.config.rehearse_leaving = {"1:s1:release"};
    EXPECT_THAT(refusal(), HasSubstr("silo \"s1\" did not sign tags"));
    c.config.rehearse_leaving = {"1:s0:entry"};  // the first of a rank that hosts another
    EXPECT_EQ(refusal(), "");
    c.config.rehearse_leaving = {"1:s1:train"};
    EXPECT_EQ(refusal(), "");
}

}  // namespace
}  // namespace silosum
