// What a silo remembers of the sums it gave words to, across rounds, attempts and restarts: sums are exact, so two of them over sets that
// differ by one silo, or before and after a change of its data, would show what that silo gave.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "privacy/bulk_hash.hpp"
#include "privacy/crypto.hpp"

namespace silosum {

/// What is summed: one global model, one purpose. At most one set of silos is ever summed for it, under whatever roster.
struct SumContext {
    crypto::Bytes32 model_hash{};
    std::string purpose;
    [[nodiscard]] crypto::Bytes32 hash() const;
};

/// A silo's memory of a context, as it tells the others before any word leaves.
struct Recollection {
    enum class State : std::uint8_t {
        nothing,   // never gave words to it
        entered,   // gave masked words, the same as now; no share has left this silo
        released,  // gave the same words as now, and shares for the sum over `members`
        changed    // gave other words than now
    };
    State state = State::nothing;
    std::vector<bool> members;  // of the sum for which it released shares, by number in the roster; empty where it did not
};

/// The tag of what a silo gives to a sum, under a key that never leaves the silo; tags neither.
using WordsTag = crypto::Gmac;

class Ledger {
public:
    /// Kept in this process only: for silos whose identity ends with it.
    [[nodiscard]] static Ledger in_memory() { return {}; }
    /// An empty one, for a new key; readable by its owner only. UsageError where there is one, RuntimeError where it cannot be written.
    static void make_file(const std::filesystem::path& file, const crypto::Bytes32& public_key);
    /// Kept in the file of a key. A last line that was cut is of a sum for which no share had left. DataError for a file that is missing,
    /// was changed or may be changed by others, RuntimeError where it cannot be read or written.
    [[nodiscard]] static Ledger in_file(const std::filesystem::path& file, const crypto::Bytes32& public_key);
    ~Ledger();
    Ledger(Ledger&& other) noexcept;
    Ledger& operator=(Ledger&& other) noexcept;

    /// Whether the silo has entered such a sum before.
    [[nodiscard]] bool knows(const crypto::Bytes32& context) const { return entries_.contains(context); }
    [[nodiscard]] Recollection recall(const crypto::Bytes32& context, const WordsTag::Value& tag) const;
    /// Before the last masked word leaves. On the disk when it returns.
    void enter(const crypto::Bytes32& context, const WordsTag::Value& tag);
    /// Before the first share leaves. members: by number in the roster. counted: names of the silos whose sample counts are in the sum;
    /// none where it has no counts. On the disk when it returns.
    void release(const crypto::Bytes32& context, const std::vector<bool>& members, const std::vector<std::string>& counted);
    /// The different sets of silos whose counts were summed, under whatever roster, as marks of their names.
    [[nodiscard]] const std::set<std::set<std::string>>& counted_sets() const { return counted_sets_; }
    /// What a set holds for a name.
    [[nodiscard]] static std::string mark_of(const std::string& name);

private:
    struct Entry {
        WordsTag::Value tag{};
        std::optional<std::vector<bool>> members;
    };
    Ledger() = default;
    void read(const std::filesystem::path& file, const crypto::Bytes32& public_key);
    void apply(const std::string& line);
    [[nodiscard]] std::string write(const std::string& line);
    void append(const std::string& line);
    void remember_counted(const std::string& marks);

    std::filesystem::path path_;
    int file_ = -1;
    std::string last_sum_;
    std::map<crypto::Bytes32, Entry> entries_;
    std::set<std::set<std::string>> counted_sets_;
};

}  // namespace silosum
