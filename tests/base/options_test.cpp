// Options: every problem is told at once, flags win over the file, and what is written down reads back the same.
#include "base/options.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace silosum {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A few options of each kind, and a file to load them from.
class OptionsTest : public testing::Test {
protected:
    bool nesterov = false;
    std::uint64_t epochs = 0;
    std::int64_t offset = 0;
    double rate = 0;
    double momentum = 0;
    std::string optimizer;
    std::string model_file;
    std::vector<std::string> shards;
    Options options = declare();
    std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();

    Options declare() {
        Options set;
        set.add("local.optimizer", &optimizer, "sgd", "The optimiser.").one_of({"sgd", "adam"});
        set.add("local.epochs", &epochs, std::uint64_t{1}, between(1, 1000), "Passes over the data.");
        set.add("local.offset", &offset, std::int64_t{-1}, at_least(-5), "Any whole number from -5 on.");
        set.add("local.lr", &rate, 0.1, above(0), "The rate.");
        set.add("local.momentum", &momentum, 0.0, from_up_to(0, 1), "The momentum.")
            .used_when([this] { return optimizer == "sgd"; }, [this] { return "local.optimizer = " + optimizer; });
        set.add("local.nesterov", &nesterov, false, "Look ahead.").check([this]() -> std::string {
            return nesterov && momentum == 0 ? "needs local.momentum > 0" : "";
        });
        set.add("model.file", &model_file, "", "Where to start from.").path();
        set.add("data.shards", &shards, {}, "The shards.").path();
        return set;
    }

    void TearDown() override { std::filesystem::remove_all(folder); }

    std::filesystem::path file(const std::string& text) {
        std::filesystem::create_directories(folder);
        const auto path = folder / "run.cfg";
        std::ofstream(path) << text;
        return path;
    }
    std::vector<std::string> load(const std::string& text, const std::vector<std::string>& flags = {}) {
        return options.load(file(text), flags);
    }
};

TEST_F(OptionsTest, FieldsHoldTheirDefaultsAsSoonAsTheyAreDeclared) {
    EXPECT_EQ(optimizer, "sgd");
    EXPECT_EQ(epochs, 1U);
    EXPECT_EQ(offset, -1);
    EXPECT_EQ(rate, 0.1);
    EXPECT_FALSE(nesterov);
    EXPECT_THAT(shards, IsEmpty());
}

TEST_F(OptionsTest, EveryKindIsReadFromAFile) {
    EXPECT_THAT(load("# comment\n[local]\nepochs = 5\noffset = -3\nlr = 2.5e-3\nmomentum=0.9\nnesterov = yes\n[model]\nfile = /a/b.h5\n"
                     "[data]\nshards = /x/1.h5, /x/2.h5\n"),
                IsEmpty());
    EXPECT_EQ(epochs, 5U);
    EXPECT_EQ(offset, -3);
    EXPECT_EQ(rate, 2.5e-3);
    EXPECT_EQ(momentum, 0.9);
    EXPECT_TRUE(nesterov);
    EXPECT_EQ(model_file, "/a/b.h5");
    EXPECT_THAT(shards, ElementsAre("/x/1.h5", "/x/2.h5"));
}

TEST_F(OptionsTest, ACommaBehindABackslashBelongsToTheWord) {
    const std::string file = "[data]\nshards = /x/a\\,b.h5, /x/2.h5\n";
    EXPECT_THAT(load(file), IsEmpty());
    EXPECT_THAT(shards, ElementsAre("/x/a,b.h5", "/x/2.h5"));
    EXPECT_THAT(options.as_ini(), testing::HasSubstr("shards = /x/a\\,b.h5, /x/2.h5"));
}

TEST_F(OptionsTest, FlagsWinOverTheFileInBothSpellings) {
    EXPECT_THAT(load("[local]\nepochs = 5\nlr = 0.5\n", {"--local.epochs", "7", "--local.lr=0.25"}), IsEmpty());
    EXPECT_EQ(epochs, 7U);
    EXPECT_EQ(rate, 0.25);
}

TEST_F(OptionsTest, ANegativeNumberIsAValueNotAFlag) {
    EXPECT_THAT(options.load("", {"--local.offset", "-4"}), IsEmpty());
    EXPECT_EQ(offset, -4);
}

TEST_F(OptionsTest, EveryProblemIsListedAtOnce) {
    const auto problems = load("[local]\nepochs = 0\nlr = fast\nmomentom = 0.9\nepochs = 2\n",
                               {"--local.optimizer", "adm", "--run.secret", "1", "stray", "--local.offset"});
    ASSERT_EQ(problems.size(), 8U) << testing::PrintToString(problems);
    EXPECT_THAT(problems[0], testing::AllOf(HasSubstr("local.epochs = 0"), HasSubstr("[1, 1000]")));
    EXPECT_THAT(problems[1], testing::AllOf(HasSubstr("local.lr = \"fast\""), HasSubstr("a number")));
    EXPECT_THAT(problems[2], testing::AllOf(HasSubstr("\"local.momentom\""), HasSubstr("did you mean \"local.momentum\"?")));
    EXPECT_THAT(problems[3], testing::AllOf(HasSubstr("local.epochs"), HasSubstr("more than once")));
    EXPECT_THAT(problems[4], testing::AllOf(HasSubstr("\"adm\""), HasSubstr("did you mean \"adam\"?"), HasSubstr("sgd, adam")));
    EXPECT_THAT(problems[5], testing::AllOf(HasSubstr("\"run.secret\""), HasSubstr("--help"), Not(HasSubstr("did you mean"))));
    EXPECT_THAT(problems[6], HasSubstr("\"stray\""));
    EXPECT_THAT(problems[7], testing::AllOf(HasSubstr("--local.offset"), HasSubstr("needs a value")));
}

TEST_F(OptionsTest, AFlagGivenTwiceIsRefused) {
    EXPECT_THAT(options.load("", {"--local.lr", "1", "--local.lr=2"}), ElementsAre(HasSubstr("more than once")));
}

TEST_F(OptionsTest, RangesAreOpenWhereTheySaySo) {
    EXPECT_THAT(options.load("", {"--local.lr", "0"}), ElementsAre(HasSubstr("> 0")));
    EXPECT_THAT(options.load("", {"--local.momentum", "1"}), ElementsAre(HasSubstr("[0, 1)")));
    EXPECT_THAT(options.load("", {"--local.momentum", "0"}), IsEmpty());
    EXPECT_THAT(options.load("", {"--local.epochs", "1000"}), IsEmpty());
}

TEST_F(OptionsTest, OnlyWholeFiniteNumbersPass) {
    for (const std::string value : {"nan", "inf", "1e999", "0x10", "1 2", ""}) {
        EXPECT_EQ(options.load("", {"--local.lr=" + value}).size(), 1U) << value;
    }
    for (const std::string value : {"-1", "1.5", "99999999999999999999", "one"}) {
        EXPECT_EQ(options.load("", {"--local.epochs=" + value}).size(), 1U) << value;
    }
    EXPECT_EQ(rate, 0.1) << "a refused value leaves the field alone";
    EXPECT_EQ(epochs, 1U);
}

TEST_F(OptionsTest, AKeyThatTheChosenPartsDoNotUseIsRefused) {
    EXPECT_THAT(load("[local]\noptimizer = adam\nmomentum = 0.9\n"),
                ElementsAre(testing::AllOf(HasSubstr("local.momentum is not used with local.optimizer = adam"), HasSubstr("remove it"))));
}

// A sweep over flags needs no other file.
TEST_F(OptionsTest, AFlagPutsAwayWhatTheFileSaysForThePartItReplaces) {
    EXPECT_THAT(load("[local]\nmomentum = 0.9\n", {"--local.optimizer", "adam"}), IsEmpty());
    EXPECT_EQ(momentum, 0);
    EXPECT_THAT(load("[local]\noptimizer = adam\n", {"--local.momentum", "0.9"}),
                ElementsAre(HasSubstr("local.momentum is not used with local.optimizer = adam")));
    EXPECT_THAT(load("[local]\noptimizer = adam\nmomentum = 0.9\n", {"--local.lr", "1"}),
                ElementsAre(HasSubstr("local.momentum is not used with local.optimizer = adam")));
}

TEST_F(OptionsTest, AKeyLeftAloneIsNeverCalledUnused) {
    EXPECT_THAT(load("[local]\noptimizer = adam\n"), IsEmpty());
}

TEST_F(OptionsTest, ChecksSeeTheFinalValues) {
    EXPECT_THAT(load("[local]\nnesterov = true\n"), ElementsAre(HasSubstr("needs local.momentum > 0")));
    EXPECT_THAT(load("[local]\nnesterov = true\n", {"--local.momentum", "0.5"}), IsEmpty());
}

TEST_F(OptionsTest, PathsAreRelativeToTheFileThatNamesThemOrToTheCurrentFolder) {
    EXPECT_THAT(load("[model]\nfile = start.h5\n[data]\nshards = data/a.h5, ../b.h5, /c.h5\n"), IsEmpty());
    EXPECT_EQ(model_file, (folder / "start.h5").string());
    EXPECT_THAT(shards, ElementsAre((folder / "data/a.h5").string(), (folder.parent_path() / "b.h5").string(), "/c.h5"));
    EXPECT_THAT(options.load("", {"--model.file", "start.h5"}), IsEmpty());
    EXPECT_EQ(model_file, (std::filesystem::current_path() / "start.h5").string());
}

TEST_F(OptionsTest, TheResolvedSetReadsBackTheSame) {
    ASSERT_THAT(load("[local]\nepochs = 5\nlr = 0.1234567890123456789\nmomentum = 0.9\nnesterov = true\n[data]\nshards = a.h5, b c.h5\n",
                     {"--model.file", "m.h5"}),
                IsEmpty());
    const std::string resolved = options.as_ini();
    const double first_rate = rate;
    const auto first_shards = shards;
    options = declare();  // back to the defaults
    ASSERT_EQ(epochs, 1U);
    ASSERT_THAT(load(resolved), IsEmpty()) << resolved;
    EXPECT_EQ(options.as_ini(), resolved);
    EXPECT_EQ(rate, first_rate) << "doubles are written with all their digits";
    EXPECT_EQ(shards, first_shards);
    EXPECT_TRUE(nesterov);
}

TEST_F(OptionsTest, TheResolvedSetLeavesOutWhatIsNotUsed) {
    ASSERT_THAT(load("[local]\noptimizer = adam\n"), IsEmpty());
    EXPECT_THAT(options.as_ini(), Not(HasSubstr("momentum")));
    const std::string resolved = options.as_ini();
    options = declare();
    EXPECT_THAT(load(resolved), IsEmpty()) << resolved;
}

TEST_F(OptionsTest, TheFingerprintForgetsWhatItIsToldTo) {
    const std::string before = options.fingerprint_text({"model", "local.lr"});
    ASSERT_THAT(options.load("", {"--model.file", "x", "--local.lr", "9"}), IsEmpty());
    EXPECT_EQ(options.fingerprint_text({"model", "local.lr"}), before);
    EXPECT_THAT(before, HasSubstr("local.epochs=1"));
    EXPECT_NE(options.fingerprint_text({"model"}), before);
}

TEST_F(OptionsTest, HelpAndMarkdownNameEveryOptionWithItsRangeOrWords) {
    for (const std::string& text : {options.as_help(), options.as_markdown()}) {
        for (const std::string name : {"local.optimizer", "local.epochs", "local.lr", "model.file", "data.shards"}) {
            EXPECT_THAT(text, HasSubstr(name));
        }
        EXPECT_THAT(text, HasSubstr("[1, 1000]"));
        EXPECT_THAT(text, HasSubstr("adam"));
        EXPECT_THAT(text, HasSubstr("Passes over the data."));
    }
}

TEST_F(OptionsTest, AFileThatIsNotThereIsNamed) {
    try {
        (void)options.load(folder / "absent.cfg", {});
        FAIL() << "nothing was thrown";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr("absent.cfg: No such file"));
    }
    try {
        (void)options.load(testing::TempDir(), {});
        FAIL() << "a folder is no configuration";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr("it is a folder"));
    }
}

TEST_F(OptionsTest, AKeyInTheWrongSectionIsFoundByItsLastPart) {
    EXPECT_THAT(load("lr = 1\n[training]\nepochs = 2\n"),
                ElementsAre(HasSubstr("unknown key \"lr\"; did you mean \"local.lr\"?"),
                            HasSubstr("unknown key \"training.epochs\"; did you mean \"local.epochs\"?")));
}

TEST_F(OptionsTest, AFlagOfASwitchNeedsNoValue) {
    EXPECT_THAT(load("", {"--local.nesterov", "--local.momentum", "0.5"}), IsEmpty());
    EXPECT_TRUE(nesterov);
    EXPECT_THAT(load("", {"--local.momentum", "0.5", "--local.nesterov"}), IsEmpty());
    EXPECT_THAT(load("", {"--local.epochs"}), ElementsAre("--local.epochs needs a value"));
}

TEST_F(OptionsTest, TextThatAConfigurationCannotHoldIsRefused) {
    EXPECT_THAT(load("", {"--model.file", "run#1.h5"}), ElementsAre(HasSubstr("must hold no #")));
    EXPECT_THAT(load("", {"--model.file", "M\xFCnchen.h5"}), ElementsAre(HasSubstr("must be UTF-8 text")));
}

TEST_F(OptionsTest, ALineThatIsNoIniIsTold) {
    EXPECT_THAT(load("[local]\nthis is no key\n"), ElementsAre(HasSubstr("run.cfg")));
}

}  // namespace
}  // namespace silosum
