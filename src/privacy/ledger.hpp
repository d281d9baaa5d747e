// What a silo remembers of the sums it gave words to, across rounds, attempts and restarts: sums are exact, so two of them over sets that
// differ by one silo, or before and after a change of its data, would show what that silo gave.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "privacy/crypto.hpp"

namespace silosum {

/// What is summed: one global model, one purpose, among the silos of one roster. At most one set of silos is ever summed for it.
struct SumContext {
    crypto::Bytes32 roster_hash{};
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

/// The tag of what a silo gives to a sum: equal words, equal tags. Poly1305 (RFC 8439) under a key that never leaves the silo; tags
/// neither.
class WordsTag {
public:
    using Value = std::array<std::uint8_t, 16>;
    explicit WordsTag(const crypto::Secret<32>& key);
    ~WordsTag();
    WordsTag(WordsTag&&) noexcept;
    WordsTag& operator=(WordsTag&&) noexcept;
    void add(std::span<const std::byte> bytes);
    /// Ends it. Call once.
    [[nodiscard]] Value value();

private:
    struct State;
    std::unique_ptr<State> state_;
};

class Ledger {
public:
    /// Kept in this process only: for silos whose identity ends with it.
    [[nodiscard]] static Ledger in_memory() { return {}; }
    /// Kept in a file, made where it is missing, readable by its owner only. A last line that was cut is of a sum for which nothing had
    /// left. DataError for a file that was changed, RuntimeError where it cannot be read or written.
    [[nodiscard]] static Ledger in_file(const std::filesystem::path& file);
    ~Ledger();
    Ledger(Ledger&& other) noexcept;
    Ledger& operator=(Ledger&& other) noexcept;

    [[nodiscard]] Recollection recall(const crypto::Bytes32& context, const WordsTag::Value& tag) const;
    /// Before the first masked word leaves. On the disk when it returns.
    void enter(const crypto::Bytes32& context, const WordsTag::Value& tag);
    /// Before the first share leaves. members, trained: by number in the roster. On the disk when it returns.
    void release(const crypto::Bytes32& context, const std::vector<bool>& members, const std::vector<bool>& trained);
    /// Of every release, in order: the silos that had trained.
    [[nodiscard]] const std::vector<std::vector<bool>>& trained_sets() const { return trained_sets_; }

private:
    struct Entry {
        WordsTag::Value tag{};
        std::optional<std::vector<bool>> members;
    };
    Ledger() = default;
    void read(const std::filesystem::path& file);
    void apply(const std::string& line);
    void append(const std::string& line);

    std::filesystem::path path_;
    int file_ = -1;
    std::map<crypto::Bytes32, Entry> entries_;
    std::vector<std::vector<bool>> trained_sets_;
};

}  // namespace silosum
