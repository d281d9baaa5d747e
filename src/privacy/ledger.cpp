#include "privacy/ledger.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "privacy/message.hpp"

namespace silosum {

namespace {

constexpr const char* remedy = "put it back as it was, or make a new key (silosum keygen) and give its entry to the others";

const std::string first_words = "silosum-ledger 2 ";

std::string first_line(const crypto::Bytes32& public_key) {
    return first_words + crypto::hex(public_key);
}

std::string reason() {
    return std::generic_category().message(errno);
}

std::string text_of(const std::vector<bool>& set) {
    std::string text;
    for (const bool is_in : set) text += is_in ? '1' : '0';
    return text;
}
std::vector<bool> set_of(const std::string& text) {
    std::vector<bool> set;
    for (const char c : text) set.push_back(c == '1');
    return set;
}

// The last word of a line, over all lines up to it: a change, or a line that is gone, shows, by accident at least.
std::string sum_of(const std::string& line, const std::string& sum_before) {
    return crypto::hex(crypto::sha256({crypto::view("silosum/v1/ledger-line"), crypto::view(sum_before), crypto::view(line)}))
        .substr(0, 16);
}

}  // namespace

crypto::Bytes32 SumContext::hash() const {
    MessageWriter writer;
    writer.label("silosum/v1/context").field(model_hash).label(purpose);
    return crypto::sha256({writer.bytes()});
}

void Ledger::make_file(const std::filesystem::path& file, const crypto::Bytes32& public_key) {
    Ledger ledger;
    ledger.path_ = file;
    ledger.file_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    require(ledger.file_ >= 0 || errno != EEXIST, "{} is there already: it is of an earlier key; move it away with that", file.string());
    require<RuntimeError>(ledger.file_ >= 0, "cannot write {}: {}", file.string(), reason());
    const std::string problem = ledger.write(first_line(public_key));
    if (!problem.empty()) ::unlink(file.c_str());
    require<RuntimeError>(problem.empty(), "cannot write {}: {}", file.string(), problem);
    const auto folder = file.parent_path().empty() ? std::filesystem::path(".") : file.parent_path();
    const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool is_flushed = directory >= 0 && ::fsync(directory) == 0;
    const std::string why = reason();
    if (directory >= 0) ::close(directory);
    require<RuntimeError>(is_flushed, "cannot write the folder {}: {}", folder.string(), why);
}

Ledger Ledger::in_file(const std::filesystem::path& file, const crypto::Bytes32& public_key) {
    Ledger ledger;
    ledger.path_ = file;
    ledger.file_ = ::open(file.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    require<DataError>(ledger.file_ >= 0 || errno != ENOENT,
                       "the ledger {} is missing: what its silo gave to earlier sums is no longer known, so that no further sum is safe; "
                       "{}",
                       file.string(), remedy);
    require<RuntimeError>(ledger.file_ >= 0, "cannot open the ledger {}: {}", file.string(), reason());
    struct stat status {};
    require<RuntimeError>(::fstat(ledger.file_, &status) == 0, "cannot look at {}: {}", file.string(), reason());
    require<DataError>((status.st_mode & 077) == 0 && status.st_uid == ::geteuid(),
                       "the ledger {} is open to others than its owner, or belongs to another user: chmod 600 it", file.string());
    ledger.read(file, public_key);
    return ledger;
}

Ledger::~Ledger() {
    if (file_ >= 0) ::close(file_);
}
Ledger::Ledger(Ledger&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      last_sum_(std::move(other.last_sum_)),
      entries_(std::move(other.entries_)),
      counted_sets_(std::move(other.counted_sets_)) {}
Ledger& Ledger::operator=(Ledger&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(file_, other.file_);
    std::swap(last_sum_, other.last_sum_);
    std::swap(entries_, other.entries_);
    std::swap(counted_sets_, other.counted_sets_);
    return *this;
}

void Ledger::read(const std::filesystem::path& file, const crypto::Bytes32& public_key) {
    std::ifstream stream(file, std::ios::binary);
    require<RuntimeError>(stream.good(), "cannot read the ledger {}: {}", file.string(), reason());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    require<RuntimeError>(!stream.bad(), "cannot read the ledger {} to its end", file.string());
    const std::size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
    std::size_t number = 0;
    require<DataError>(whole > 0, "the ledger {} is empty: {}", file.string(), remedy);
    const auto lines = split(text.substr(0, whole), '\n');
    for (const auto& line : lines) {
        ++number;
        if (line.empty() && number > 1 && number == lines.size()) break;  // behind the last end of a line
        const std::size_t space = line.rfind(' ');
        const bool is_right = space != std::string::npos && line.substr(space + 1) == sum_of(line.substr(0, space), last_sum_);
        require<DataError>(
            number > 1 || !is_right || !line.starts_with("silosum-ledger 1 "),
            "the ledger {} is of an older silosum, which named models and tagged updates in other ways, so that no further sum "
            "is safe with its key: make a new one (silosum keygen) and give its entry to the others",
            file.string());
        // Whatever its checksums are like.
        const bool may_be_newer = line.starts_with("silosum-ledger ") && !line.starts_with(first_words);
        require<DataError>(number > 1 || !may_be_newer || line.starts_with("silosum-ledger 1 "),
                           "the ledger {} was changed in line 1, or a newer silosum wrote it: then go on with that one, else {}",
                           file.string(), remedy);
        require<DataError>(number > 1 || !is_right || line.substr(0, space) == first_line(public_key),
                           "the ledger {} is of another key: {}", file.string(), remedy);
        require<DataError>(
            is_right,
            "the ledger {} was changed in line {}: what its silo gave to earlier sums is no longer known, so that no further "
            "sum is safe; {}",
            file.string(), number, remedy);
        last_sum_ = line.substr(space + 1);
        if (number > 1) apply(line);
    }
    if (whole == text.size()) return;
    require<RuntimeError>(::ftruncate(file_, static_cast<off_t>(whole)) == 0, "cannot write the ledger {}: {}", file.string(), reason());
}

// "in CONTEXT TAG SUM" or "out CONTEXT MEMBERS COUNTED SUM"
void Ledger::apply(const std::string& line) {
    const auto words = split(line, ' ');
    crypto::Bytes32 context{};
    const auto bytes = crypto::from_hex(words.at(1), context.size());
    require<DataError>(bytes.has_value(), "the ledger {} has a line that is none: {}", path_.string(), line);
    std::copy(bytes->begin(), bytes->end(), context.begin());
    if (words.at(0) == "in") {
        const auto tag = crypto::from_hex(words.at(2), WordsTag::Value().size());
        require<DataError>(tag.has_value(), "the ledger {} has a line that is none: {}", path_.string(), line);
        std::copy(tag->begin(), tag->end(), entries_[context].tag.begin());
    } else {
        entries_[context].members = set_of(words.at(2));
        remember_counted(words.at(3));
    }
}

// Appends a line, or says why not.
std::string Ledger::write(const std::string& line) {
    if (file_ < 0) return "";
    const std::string sum = sum_of(line, last_sum_);
    const std::string text = fmt::format("{} {}\n", line, sum);
    const off_t end = ::lseek(file_, 0, SEEK_END);
    const ssize_t written = ::write(file_, text.data(), text.size());
    if (written == static_cast<ssize_t>(text.size()) && ::fsync(file_) == 0) {
        last_sum_ = sum;
        return "";
    }
    // A write that is cut short has no reason of its own: the next one would have this.
    const std::string why = written >= 0 && written < static_cast<ssize_t>(text.size()) ? std::strerror(ENOSPC) : reason();
    // What is there of the line must not spoil the next one.
    return ::ftruncate(file_, end) == 0 ? why : why + ", and the cut line stays until the next start";
}

void Ledger::append(const std::string& line) {
    const std::string problem = write(line);
    require<RuntimeError>(problem.empty(), "cannot write the ledger {}: {}; no share has left the silo, so what it sent stays hidden",
                          path_.string(), problem);
}

Recollection Ledger::recall(const crypto::Bytes32& context, const WordsTag::Value& tag) const {
    const auto found = entries_.find(context);
    if (found == entries_.end()) return {};
    const auto& [known, members] = found->second;
    const bool is_same = crypto::equal(known, tag);
    return {.state = !is_same  ? Recollection::State::changed
                     : members ? Recollection::State::released
                               : Recollection::State::entered,
            .members = members.value_or(std::vector<bool>())};
}

void Ledger::enter(const crypto::Bytes32& context, const WordsTag::Value& tag) {
    const auto found = entries_.find(context);
    if (found != entries_.end() && crypto::equal(found->second.tag, tag)) return;
    append(fmt::format("in {} {}", crypto::hex(context), crypto::hex(tag)));
    entries_[context].tag = tag;
}

void Ledger::release(const crypto::Bytes32& context, const std::vector<bool>& members, const std::vector<std::string>& counted) {
    Entry& entry = entries_[context];
    if (entry.members == members) return;
    std::vector<std::string> marks;
    for (const auto& name : counted) marks.push_back(mark_of(name));
    const std::string text = join(marks, ",");
    append(fmt::format("out {} {} {}", crypto::hex(context), text_of(members), text));
    entry.members = members;
    remember_counted(text);
}

void Ledger::remember_counted(const std::string& marks) {
    if (marks.empty()) return;
    const auto words = split(marks, ',');
    counted_sets_.emplace(words.begin(), words.end());
}

std::string Ledger::mark_of(const std::string& name) {
    return crypto::hex(crypto::sha256({crypto::view("silosum/v1/name"), crypto::view(name)})).substr(0, 16);
}

}  // namespace silosum
