// A run that goes on from a checkpoint gives the bits of one that was never interrupted, and a bad checkpoint is never taken.
#include "observe/checkpoint.hpp"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "observe/round_facts.hpp"
#include "observe/small_federation.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

RunIdentity identity_of(const SmallFederation& small) {
    RunIdentity identity{.configuration = "local.lr=0.1\n", .layout = small.federation->global.layout.text(), .isa = "any", .silos = {}};
    for (const auto& silo : small.federation->census.silos) identity.silos.emplace_back(silo.name, silo.fingerprint);
    return identity;
}

// A federation with the observers that a checkpoint needs.
struct Trained {
    SmallFederation small;
    Stopping* stopping = nullptr;
    Checkpointer* checkpointer = nullptr;

    Trained(const std::filesystem::path& folder, const CheckpointConfig& config) {
        EvaluationConfig settings;
        settings.target_metric = "accuracy";
        settings.best_metric = "loss";
        small.observe_with<RoundFacts>(*small.federation);
        auto& evaluation = small.observe_with<Evaluation>(settings, *small.federation, std::nullopt);
        stopping = &small.observe_with<Stopping>(settings, *small.federation, evaluation, [](std::uint64_t) {});
        checkpointer = &small.observe_with<Checkpointer>(config, folder, identity_of(small), *small.federation, *stopping);
    }
    void train(std::uint64_t first, std::uint64_t last) { (void)small.train(first, last); }

    // As training starts: rank 0 looks, all restore. Returns the rounds that are done.
    std::uint64_t restore(const std::filesystem::path& folder, std::vector<std::string>& warnings) {
        std::string text;
        succeed_on_first(small.world, [&] {
            const auto found = find_checkpoint(folder, warnings);
            if (found)
                text = nlohmann::json{{"folder", found->folder.string()}, {"round", found->round}, {"manifest", found->manifest}}.dump();
        });
        broadcast_text(small.world, text, 0);
        if (text.empty()) return 0;
        const auto json = nlohmann::json::parse(text);
        const FoundCheckpoint found{json["folder"].get<std::string>(), json["round"], json["manifest"]};
        restore_checkpoint(found, identity_of(small), *small.federation, *stopping);
        return found.round;
    }
};

class Checkpoints : public testing::Test {
protected:
    Communicator world = Communicator::world();
    TemporaryFolder mine;
    std::filesystem::path folder;  // one for all ranks
    std::vector<std::string> warnings;

    void SetUp() override {
        std::string text = mine.path().string();
        broadcast_text(world, text, 0);
        folder = std::filesystem::path(text) / "checkpoints";
    }
    void TearDown() override { barrier(world); }

    [[nodiscard]] std::filesystem::path round(std::uint64_t number) const { return folder / fmt::format("round-{:06}", number); }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(folder)) found.push_back(entry.path().filename().string());
        std::sort(found.begin(), found.end());
        return found;
    }
    // One rank changes files, when no other looks.
    template <class Change>
    void change(Change&& work) {
        barrier(world);
        if (world.rank() == 0) work();
        barrier(world);
    }
    static void flip_a_byte(const std::filesystem::path& file) {
        std::string bytes = read_text(file);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        write_text(file, bytes);
    }
    // Of whichever silo has kept state by then.
    static std::filesystem::path silo_file(const std::filesystem::path& checkpoint) {
        for (const auto& entry : std::filesystem::directory_iterator(checkpoint)) {
            if (entry.path().filename().string().starts_with("silo-")) return entry.path();
        }
        return checkpoint / "silo-none";
    }
    [[nodiscard]] std::string uninterrupted(std::uint64_t rounds) const {
        Trained run(folder / ".." / "uninterrupted", {.every = 0, .keep = 1});
        run.train(1, rounds);
        return run.small.sha256();
    }
};

TEST_F(Checkpoints, ResumedIsUninterrupted) {
    {
        Trained run(folder, {.every = 2, .keep = 2});
        run.train(1, 5);
    }
    Trained run(folder, {.every = 2, .keep = 2});
    EXPECT_EQ(run.restore(folder, warnings), 5U);
    EXPECT_TRUE(warnings.empty());
    EXPECT_EQ(run.stopping->state().best_metric, "loss");
    EXPECT_TRUE(run.stopping->state().best.has_value());
    run.train(6, 9);
    EXPECT_EQ(run.small.sha256(), uninterrupted(9));
}

TEST_F(Checkpoints, OnlyTheNewestAreKept) {
    Trained run(folder, {.every = 2, .keep = 2});
    run.train(1, 7);
    barrier(world);
    EXPECT_EQ(names(), (std::vector<std::string>{"round-000006", "round-000007"}));
    EXPECT_EQ(run.checkpointer->last_good(), round(7));
}

TEST_F(Checkpoints, ADamagedOneIsPassedOverWithAWarningAndTheBitsStayTheSame) {
    const auto damages = std::vector<std::pair<const char*, std::function<void()>>>{
        {"global.h5", [&] { flip_a_byte(round(6) / "global.h5"); }},
        {"global.h5", [&] { std::filesystem::resize_file(round(6) / "global.h5", 100); }},
        {"silo-", [&] { std::filesystem::remove(silo_file(round(6))); }},
        {"silo-", [&] { flip_a_byte(silo_file(round(6))); }},
        {"manifest.json", [&] { flip_a_byte(round(6) / "manifest.json"); }},
        {"manifest.json", [&] { write_text(round(6) / "manifest.json", "{}"); }},
        {"manifest.json", [&] { write_text(round(6) / "manifest.json", ""); }},
    };
    const std::string expected = uninterrupted(8);
    for (const auto& [file, damage] : damages) {
        {
            Trained run(folder, {.every = 2, .keep = 2});
            run.train(1, 6);
        }
        change(damage);
        warnings.clear();
        Trained run(folder, {.every = 2, .keep = 1});
        EXPECT_EQ(run.restore(folder, warnings), 4U) << file;
        if (world.rank() == 0) {
            ASSERT_EQ(warnings.size(), 1U);
            EXPECT_NE(warnings[0].find(file), std::string::npos) << warnings[0];
            EXPECT_NE(warnings[0].find("going back to the checkpoint of round 4"), std::string::npos) << warnings[0];
        }
        run.train(5, 8);
        EXPECT_EQ(run.small.sha256(), expected) << file;
        change([&] { std::filesystem::remove_all(folder); });
    }
}

// With keep = 1 the one just written must stay, although a damaged one has a higher number; what is left of that is out of the way.
TEST_F(Checkpoints, DamagedLaterOnesDoNotCountAmongThoseThatAreKept) {
    {
        Trained run(folder, {.every = 4, .keep = 2});
        run.train(1, 8);
    }
    change([&] { flip_a_byte(round(8) / "global.h5"); });
    Trained run(folder, {.every = 1, .keep = 1});
    EXPECT_EQ(run.restore(folder, warnings), 4U);
    run.train(5, 5);
    barrier(world);
    EXPECT_EQ(names(), (std::vector<std::string>{"round-000005", "round-000008.damaged"}));
}

// What cannot be read now may be good: nothing older is taken in its place, and it stays where it is.
TEST_F(Checkpoints, OneThatCannotBeReadEndsTheStart) {
    {
        Trained run(folder, {.every = 4, .keep = 2});
        run.train(1, 8);
    }
    change([&] {
        std::filesystem::remove(round(8) / "global.h5");
        std::filesystem::create_directory(round(8) / "global.h5");
    });
    Trained run(folder, {});
    try {
        (void)run.restore(folder, warnings);
        ADD_FAILURE() << "took another checkpoint";
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::runtime);
        EXPECT_NE(std::string(error.what()).find("cannot read " + (round(8) / "global.h5").string()), std::string::npos) << error.what();
    }
    EXPECT_EQ(names(), (std::vector<std::string>{"round-000004", "round-000008"}));
}

TEST_F(Checkpoints, UnfinishedOnesArePassedOverInSilence) {
    {
        Trained run(folder, {.every = 2, .keep = 3});
        run.train(1, 4);
    }
    change([&] { std::filesystem::remove(round(4) / "manifest.json"); });
    Trained run(folder, {.every = 2, .keep = 3});
    EXPECT_EQ(run.restore(folder, warnings), 2U);
    EXPECT_TRUE(warnings.empty());

    change([&] { std::filesystem::remove(round(2) / "manifest.json"); });
    Trained anew(folder, {.every = 2, .keep = 3});
    EXPECT_EQ(anew.restore(folder, warnings), 0U);
    EXPECT_TRUE(warnings.empty());
}

TEST_F(Checkpoints, NoneAtAllIsAStartAnew) {
    Trained run(folder, {});
    EXPECT_EQ(run.restore(folder, warnings), 0U);
    change([&] { std::filesystem::create_directories(folder / "round-old"); });
    EXPECT_EQ(run.restore(folder, warnings), 0U);
}

TEST_F(Checkpoints, WhenAllThatWereFinishedAreDamagedItIsAnErrorWithAWayOut) {
    {
        Trained run(folder, {.every = 2, .keep = 2});
        run.train(1, 4);
    }
    change([&] {
        flip_a_byte(round(2) / "global.h5");
        flip_a_byte(round(4) / "global.h5");
    });
    Trained run(folder, {});
    try {
        (void)run.restore(folder, warnings);
        ADD_FAILURE() << "took a damaged checkpoint";
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::data);
        const std::string text = error.what();
        for (const char* part : {"no good checkpoint is left", "round-000002", "round-000004", "--run.overwrite true"}) {
            EXPECT_NE(text.find(part), std::string::npos) << text;
        }
    }
}

TEST_F(Checkpoints, RoundsAreOrderedByNumberAlsoBeyondSixDigits) {
    {
        Trained run(folder, {.every = 1, .keep = 2});
        run.train(999'999, 1'000'000);
    }
    Trained run(folder, {});
    EXPECT_EQ(run.restore(folder, warnings), 1'000'000U);
}

TEST_F(Checkpoints, ANewerVersionIsToldApartFromDamage) {
    {
        Trained run(folder, {.every = 0, .keep = 2});
        run.train(1, 2);
    }
    change([&] {
        auto manifest = nlohmann::json::parse(read_text(round(2) / "manifest.json"));
        manifest["version"] = 99;
        write_text(round(2) / "manifest.json", manifest.dump());
    });
    Trained run(folder, {});
    std::string text;
    try {
        (void)run.restore(folder, warnings);
    } catch (const AgreedError& error) {
        text = error.what();
    }
    EXPECT_NE(text.find("version 99, this program reads up to 1: use a newer silosum"), std::string::npos) << text;
}

TEST_F(Checkpoints, AnotherIdentityIsRefusedOnEveryRank) {
    {
        Trained run(folder, {.every = 0, .keep = 1});
        run.train(1, 2);
    }
    Trained run(folder, {});
    std::vector<std::string> none;
    const auto found = find_checkpoint(folder, none);
    ASSERT_TRUE(found.has_value());
    RunIdentity other = identity_of(run.small);
    other.configuration = "local.lr=0.2\n";
    try {
        restore_checkpoint(*found, other, *run.small.federation, *run.stopping);
        ADD_FAILURE() << "went on with another learning rate";
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::usage);
        EXPECT_NE(std::string(error.what()).find("local.lr: was 0.1, is 0.2"), std::string::npos) << error.what();
    }
}

// A file where the folder should be stands for every way in which a checkpoint cannot be written.
TEST_F(Checkpoints, OneThatCannotBeWrittenStopsAllRanksAndTheOneBeforeStaysGood) {
    Trained run(folder, {.every = 1, .keep = 2});
    run.train(1, 3);
    change([&] {
        std::filesystem::rename(folder, folder.string() + "-moved");
        write_text(folder, "");
    });
    std::string text;
    try {
        run.train(4, 4);
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::runtime);
        text = error.what();
    }
    EXPECT_NE(text.find("the checkpoint of round 4 was not saved (once it can be, --run.resume auto goes on): cannot make"),
              std::string::npos)
        << text;
    EXPECT_EQ(run.checkpointer->last_good(), round(3));
    Trained again(folder, {});
    EXPECT_EQ(again.restore(folder.string() + "-moved", warnings), 3U);
}

}  // namespace
}  // namespace silosum
