// metrics.jsonl has every round once, whatever an earlier start left behind.
#include "observe/recorder.hpp"

#include <gtest/gtest.h>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "observe/round_facts.hpp"
#include "observe/small_federation.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

// One folder for all ranks.
class RecorderOnAll : public testing::Test {
protected:
    SmallFederation small;
    TemporaryFolder mine;
    std::filesystem::path file;

    void SetUp() override {
        std::string folder = mine.path().string();
        broadcast_text(small.world, folder, 0);
        file = std::filesystem::path(folder) / "metrics.jsonl";
    }
    void TearDown() override { barrier(small.world); }  // before the folder goes
    void train(std::uint64_t first, std::uint64_t last) {
        small.federation->observers.clear();
        small.observe_with<RoundFacts>(*small.federation);
        small.observe_with<Recorder>(small.world, file, first - 1, false);
        small.train(first, last);
        barrier(small.world);
    }
    [[nodiscard]] std::vector<std::uint64_t> rounds() const {
        std::vector<std::uint64_t> found;
        std::ifstream stream(file);
        for (std::string line; std::getline(stream, line);) found.push_back(nlohmann::json::parse(line)["round"]);
        return found;
    }
};

TEST_F(RecorderOnAll, WritesEveryRoundOnce) {
    train(1, 4);
    EXPECT_EQ(rounds(), (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

TEST_F(RecorderOnAll, DropsRoundsThatWillBeTrainedAgainAndALineThatWasCut) {
    train(1, 5);
    if (small.world.rank() == 0) {
        const std::string text = read_text(file);
        write_text(file, text + "not of ours\n{\"round\": \"six\"}\n" + text.substr(0, 40));
    }
    barrier(small.world);
    train(4, 6);
    EXPECT_EQ(rounds(), (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6}));
}

TEST_F(RecorderOnAll, StartsAnewWhereNothingIsKept) {
    train(1, 3);
    train(1, 2);
    EXPECT_EQ(rounds(), (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(RecorderOnAll, RecordsWhatTheRoundWas) {
    train(1, 1);
    const auto line = nlohmann::json::parse(read_text(file));
    EXPECT_EQ(line["participants"], small.settings.silos_per_round);
    EXPECT_EQ(line["train_losses"].size(), small.settings.silos_per_round);
    EXPECT_EQ(line["model_sha256"], small.sha256());
    EXPECT_GT(line["steps"].get<std::uint64_t>(), 0U);
    EXPECT_TRUE(line["seconds"].contains("train"));
}

TEST_F(RecorderOnAll, AFileThatCannotBeWrittenIsAnErrorOnEveryRank) {
    std::string message;
    try {
        const Recorder recorder(small.world, file.parent_path() / "missing" / "metrics.jsonl", 0, false);
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::runtime);
        message = error.what();
    }
    EXPECT_NE(message.find("metrics.jsonl: No such file or directory"), std::string::npos) << message;
}

}  // namespace
}  // namespace silosum
