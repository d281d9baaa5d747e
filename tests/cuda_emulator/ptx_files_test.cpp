// PTX files that someone changed: a barrier less must be seen. In their own processes, as a process reads its files once.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "emulator.hpp"
#include "tests/cuda_emulator/planted_bugs.hpp"
#include "tests/support/temporary_folder.hpp"
#include "where.hpp"

namespace {

std::string file_with(const std::string& files, const std::string& name) {
    std::istringstream list(files);
    for (std::string file; std::getline(list, file, ':');) {
        if (file.find(name) != std::string::npos) return file;
    }
    return "";
}

std::string text_of(const std::string& file) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

[[noreturn]] void run_with_barriers_as(const std::string& original, const std::string& replacement) {
    std::string text = text_of(original);
    const std::string barrier = "bar.sync \t0;";
    for (std::size_t at = 0; (at = text.find(barrier, at)) != std::string::npos; at += replacement.size()) {
        text.replace(at, barrier.size(), replacement);
    }
    {
        const silosum::TemporaryFolder folder;
        const auto changed = folder / "changed_barriers.ptx";
        silosum::write_text(changed, text);
        setenv("SILOSUM_CUDA_PTX", changed.c_str(), 1);
        try {
            std::cerr << (planted_in_barriers().front().run(false) ? "right" : "wrong") << '\n';
        } catch (const emulator::Error& error) {
            std::cerr << error.what() << '\n';
        }
    }
    std::exit(0);
}

class PtxFiles : public testing::Test {
protected:
    void SetUp() override {
        const char* files = std::getenv("SILOSUM_CUDA_PTX");
        if (files == nullptr) GTEST_SKIP() << "runs where SILOSUM_CUDA_PTX names files";
        original = file_with(files, "planted_barriers");
        GTEST_FLAG_SET(death_test_style, "threadsafe");
    }
    std::string original;
};

TEST_F(PtxFiles, AreRightAsTheyAre) {
    EXPECT_EXIT(run_with_barriers_as(original, "bar.sync 0;"), testing::ExitedWithCode(0), "right");
}

TEST_F(PtxFiles, BarrierThatIsGoneIsFound) {
    EXPECT_EXIT(run_with_barriers_as(original, ""), testing::ExitedWithCode(0), "uninitialised memory is read.*planted_barriers.cu:");
}

TEST_F(PtxFiles, UnknownOpcodeIsFound) {
    EXPECT_EXIT(run_with_barriers_as(original, "barracuda.sync 0;"), testing::ExitedWithCode(0),
                "changed_barriers.ptx:[0-9]+: opcode barracuda");
}

}  // namespace
