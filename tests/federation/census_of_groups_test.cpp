// Every rank of a group reads the shards of its silos; each silo counts once, and what one rank cannot read, or reads otherwise, ends all.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "federation/census.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using testing::HasSubstr;

class CensusOfGroups : public testing::Test {
protected:
    Communicator world = Communicator::world();
    RankGroups ranks{world, 2};
    TemporaryFolder folder;  // this rank's own, as on a node of its own
    std::vector<std::filesystem::path> files;

    void SetUp() override {
        for (std::size_t silo = 0; silo < 3; ++silo) {
            files.push_back(folder / ("silo-" + std::to_string(silo) + ".h5"));
            write(silo, static_cast<float>(silo));
        }
    }
    void write(std::size_t silo, float value) const {
        Shard shard;
        shard.silo = "silo " + std::to_string(silo);
        shard.problem = {.task = Task::classification, .classes = 2, .feature_shape = {1}};
        shard.train.rows = 2 + silo;
        shard.train.features = 1;
        shard.train.floats.assign(shard.train.rows, value);
        shard.train.labels.assign(shard.train.rows, 1);
        write_shard(files[silo], shard);
    }
    [[nodiscard]] bool is_second() const { return world.rank() == 1; }
};

TEST_F(CensusOfGroups, CountsEverySiloOnce) {
    std::vector<Silo> hosted;
    const Census census = take_census(world, ranks, files, hosted, false, false);
    EXPECT_EQ(census.silos.size(), 3U);
    EXPECT_EQ(census.totals.train, 2U + 3 + 4);
    std::vector<std::uint32_t> ids;
    for (const Silo& silo : hosted) ids.push_back(silo.id());
    std::vector<std::uint32_t> expected;
    for (std::uint32_t id = 0; id < 3; ++id) {
        if (host_of(id, ranks.count()) == ranks.group()) expected.push_back(id);
    }
    EXPECT_EQ(ids, expected);
    const auto sums = make_plain_sums(world, 2);
    EXPECT_EQ(sum_rows(*sums, census, hosted).train, 2U + 3 + 4);
}

TEST_F(CensusOfGroups, AShardThatOneRankCannotReadEndsAll) {
    if (is_second()) std::filesystem::remove(files[0]);
    std::vector<Silo> hosted;
    const auto message = message_of<AgreedError>([&] { (void)take_census(world, ranks, files, hosted, false, false); });
    EXPECT_THAT(message, HasSubstr("rank 1: data.shards: there is no file"));
}

TEST_F(CensusOfGroups, OtherFilesOnOneRankEndAll) {
    if (is_second()) write(0, 7);
    for (const bool hides : {false, true}) {  // a group has no secrets from itself
        std::vector<Silo> hosted;
        const auto message = message_of<AgreedError>([&] { (void)take_census(world, ranks, files, hosted, hides, hides); });
        EXPECT_EQ(message,
                  "rank 1: the shards of this rank are not those of rank 0, with which it trains a silo: put the same files on all nodes");
    }
}

}  // namespace
}  // namespace silosum
