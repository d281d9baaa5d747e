// A ledger remembers across restarts what a silo gave, and refuses to guess where it cannot.
#include "privacy/ledger.hpp"

#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using State = Recollection::State;
using testing::HasSubstr;

const crypto::Bytes32 one = SumContext{{2}, "update"}.hash();
const crypto::Bytes32 two = SumContext{{2}, "test"}.hash();
const crypto::Bytes32 owner{7};
const WordsTag::Value tag{1, 2, 3};
const WordsTag::Value other_tag{1, 2, 4};
const std::vector<bool> all{true, true, true};
const std::vector<std::string> some{"north", "a silo, with a comma"};
const std::set<std::string> marks{Ledger::mark_of(some[0]), Ledger::mark_of(some[1])};

TEST(Ledger, RemembersWhatWasGivenAndReleased) {
    Ledger ledger = Ledger::in_memory();
    EXPECT_EQ(ledger.recall(one, tag).state, State::nothing);
    ledger.enter(one, tag);
    EXPECT_EQ(ledger.recall(one, tag).state, State::entered);
    EXPECT_EQ(ledger.recall(one, other_tag).state, State::changed);
    EXPECT_TRUE(ledger.recall(one, other_tag).members.empty()) << "no share has left";
    EXPECT_EQ(ledger.recall(two, tag).state, State::nothing) << "another purpose";
    ledger.enter(one, other_tag);  // as nothing had left
    ledger.release(one, all, some);
    EXPECT_EQ(ledger.recall(one, other_tag).state, State::released);
    EXPECT_EQ(ledger.recall(one, other_tag).members, all);
    EXPECT_EQ(ledger.recall(one, tag).state, State::changed);
    EXPECT_EQ(ledger.recall(one, tag).members, all);
    EXPECT_THAT(ledger.counted_sets(), testing::ElementsAre(marks));
}

class LedgerFile : public testing::Test {
protected:
    TemporaryFolder folder_;
    std::filesystem::path file_ = folder_ / "north.ledger";

    void fill() const {
        Ledger::make_file(file_, owner);
        Ledger ledger = Ledger::in_file(file_, owner);
        ledger.enter(one, tag);
        ledger.release(one, all, some);
        ledger.enter(two, tag);
    }
    [[nodiscard]] std::string text() const {
        std::ifstream stream(file_, std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), {}};
    }
};

TEST_F(LedgerFile, SurvivesARestart) {
    fill();
    const auto permissions = std::filesystem::status(file_).permissions() & std::filesystem::perms::all;
    EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const Ledger again = Ledger::in_file(file_, owner);
    EXPECT_EQ(again.recall(one, tag).members, all);
    EXPECT_EQ(again.recall(one, other_tag).state, State::changed);
    EXPECT_EQ(again.recall(two, tag).state, State::entered);
    EXPECT_THAT(again.counted_sets(), testing::ElementsAre(marks));
}

// Killed while it wrote: the line was not on the disk when anything could have left.
TEST_F(LedgerFile, PassesOverALastLineThatWasCut) {
    fill();
    const std::string whole = text();
    const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
    for (std::size_t size = last; size < whole.size(); size += 7) {
        std::ofstream(file_, std::ios::binary) << whole.substr(0, size);
        {
            Ledger ledger = Ledger::in_file(file_, owner);
            EXPECT_EQ(ledger.recall(two, tag).state, State::nothing);
            ledger.enter(two, tag);
        }
        EXPECT_EQ(text(), whole);
    }
}

TEST_F(LedgerFile, AChangedLineIsRefused) {
    fill();
    const std::string whole = text();
    for (std::size_t i = 0; i + 1 < whole.size(); i += 5) {
        std::string changed = whole;
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        if (whole[i] == '\n') continue;  // joins two lines: refused, or cut where it is the last
        std::ofstream(file_, std::ios::binary) << changed;
        EXPECT_THAT(message_of<DataError>([&] { (void)Ledger::in_file(file_, owner); }), HasSubstr("was changed in line")) << i;
    }
}

TEST_F(LedgerFile, AMissingEmptyOrOpenOneIsRefused) {
    EXPECT_THAT(message_of<DataError>([&] { (void)Ledger::in_file(file_, owner); }), HasSubstr("north.ledger is missing"));
    fill();
    EXPECT_THAT(message_of<UsageError>([&] { Ledger::make_file(file_, owner); }), HasSubstr("is there already"));
    std::filesystem::permissions(file_, std::filesystem::perms::group_write, std::filesystem::perm_options::add);
    EXPECT_THAT(message_of<DataError>([&] { (void)Ledger::in_file(file_, owner); }), HasSubstr("is open to others"));
    std::filesystem::permissions(file_, std::filesystem::perms::group_write, std::filesystem::perm_options::remove);
    std::filesystem::create_symlink(file_, folder_ / "link.ledger");
    EXPECT_THAT(message_of<RuntimeError>([&] { (void)Ledger::in_file(folder_ / "link.ledger", owner); }), HasSubstr("cannot open"));
    EXPECT_THAT(message_of<DataError>([&] { (void)Ledger::in_file(file_, {8}); }), HasSubstr("is of another key"));
    const std::string whole = text();
    const std::size_t first = whole.find('\n') + 1;
    const std::size_t second = whole.find('\n', first) + 1;
    for (const std::string& other : {std::string("\n"), "\n" + whole, whole + "\n", whole.substr(0, first) + whole.substr(second),
                                     whole.substr(first), whole.substr(0, first) + "\n" + whole.substr(first)}) {
        std::ofstream(file_, std::ios::binary) << other;
        EXPECT_THAT(message_of<DataError>([&] { (void)Ledger::in_file(file_, owner); }), HasSubstr("was changed in line")) << other;
    }
    for (const auto& [version, text] :
         {std::pair("1", "is of an older silosum"), {"3", "or a newer silosum wrote it: then go on with that one"}}) {
        // Those of another version may have other checksums.
        const std::string start = fmt::format("silosum-ledger {} {}", version, crypto::hex(owner));
        const auto sum = crypto::sha256({crypto::view("silosum/v1/ledger-line"), crypto::view(start)});
        std::ofstream(file_, std::ios::binary) << start << ' ' << (start[15] == '1' ? crypto::hex(sum).substr(0, 16) : "another") << '\n';
        const std::string message = message_of<DataError>([&] { (void)Ledger::in_file(file_, owner); });
        EXPECT_THAT(message, HasSubstr("north.ledger "));
        EXPECT_THAT(message, HasSubstr(text));
    }
    std::filesystem::resize_file(file_, 0);
    EXPECT_THAT(message_of<DataError>([&] { (void)Ledger::in_file(file_, owner); }), HasSubstr("is empty"));
}

TEST(WordsTag, TellsEveryChangeAndEveryKey) {
    const auto value_of = [](std::uint8_t key, const std::string& text, std::size_t cut) {
        crypto::Secret<32> secret;
        secret.span()[0] = key;
        WordsTag words(secret);
        words.add(std::as_bytes(std::span(text.data(), cut)));
        words.add(std::as_bytes(std::span(text.data() + cut, text.size() - cut)));
        return words.value();
    };
    const std::string text = "words of a silo, more than a block";
    EXPECT_EQ(value_of(1, text, 0), value_of(1, text, 17));
    EXPECT_NE(value_of(1, text, 0), value_of(2, text, 0));
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string changed = text;
        changed[i] ^= 1;
        EXPECT_NE(value_of(1, text, 0), value_of(1, changed, 0)) << i;
    }
}

}  // namespace
}  // namespace silosum
