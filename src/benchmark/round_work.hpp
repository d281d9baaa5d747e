// How much work a round of the exchange is, counted from the code that does it: bytes, messages, meetings and keys by phase. What a unit
// of work costs is measured (scale_model.hpp); together they foretell a round that nobody has run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/contestant.hpp"
#include "privacy/secure_plan.hpp"

namespace silosum {

/// What is counted. Work of ranks that share cores adds up.
enum class Kind : std::size_t {
    encode,         // bytes: both models read, words written
    encode_more,    // the same where a rank hosts several silos, whose words are added up in memory
    encode_shared,  // bytes: both models read, words made, by ranks that add up updates where they lie
    move,           // bytes of words copied to where others read them
    add_up,         // bytes of words of all ranks read and added
    decode,         // coordinates of the mean
    memory,         // bytes of vectors read and written that the caches of the machine do not hold: what a core waits for them
    bus,            // the same bytes: what all cores of a machine together wait for them
    message,        // messages and signals
    message_bytes,  // bytes by messages, out and in
    meeting,        // steps of ranks towards meetings that all must reach
    stream,         // bytes of key streams put on words, or taken off
    tag,            // bytes of updates tagged for the ledger
    look,           // bytes of updates looked at before they are tagged
    hash,           // bytes of the model hashed
    agreement,      // X25519 agreements, with the sealed letters that go with them
    signature,      // signatures verified; making one counts half
    product,        // products in the field of the shares
    pause,          // steps towards meetings, during which cores stand still
    uneven,         // bytes of words of all silos, while other ranks work on them and cores stand still
    uneven_shared,  // the same of ranks that add up updates where they lie
    link_bytes,     // bytes that leave a machine
    link_hop,       // messages between machines that wait for each other
    kinds
};
inline constexpr std::size_t kinds = static_cast<std::size_t>(Kind::kinds);

struct KindRow {
    Kind kind;
    const char* name;
    const char* unit;  // of work: "byte", "message"
    const char* help;
    bool is_shared;  // by the cores of a machine; else time passes once, whoever computes
};
[[nodiscard]] const std::vector<KindRow>& kind_list();

/// Amounts by kind, of one machine.
using Work = std::array<double, kinds>;

/// How words get from silos to the slices of their sum. The first is what this program does; the others are there to be compared with it.
/// Without shared memory, and on one machine, the first two are the same.
enum class Scheme {
    two_level,  // ranks of a machine add up their words in shared memory first, machines exchange sums
    slices,     // every rank gives every owner its part, those of its machine in shared memory
    ring,       // every rank adds its part to what the one before it gives, slice after slice
};

/// A round, and what it runs on.
struct RoundShape {
    std::size_t parameters = 0;
    std::uint64_t ring_bits = 32;
    std::uint32_t silos = 1;
    int ranks = 1;
    int machines = 1;
    int cores = 1;  // of a machine
    bool is_secure = false;
    SecurePlan plan{};          // of secure sums
    std::uint32_t leavers = 0;  // silos that are gone before they enter
    bool wants_tags = false;
    bool shares_memory = true;  // ranks of a machine
    std::uint64_t chunk_kib = 2048;
    Scheme scheme = Scheme::two_level;
    bool hosts_several = false;       // some rank hosts more than one silo, though not all take part
    double cached_bytes = 0;          // that the last-level caches of a machine hold
    std::optional<double> orphans{};  // masks of leavers that are left on the sum; without: as many as are to be expected

    [[nodiscard]] double ranks_a_machine() const { return static_cast<double>(ranks) / machines; }
    /// Whether ranks of a machine add up words that others of it have left for owners elsewhere.
    [[nodiscard]] bool forwards() const { return scheme == Scheme::two_level && shares_memory && machines > 1 && ranks > machines; }
    /// Whether ranks add up updates where they lie, so that no words travel.
    [[nodiscard]] bool reads_updates() const {
        const bool one_each = silos <= static_cast<std::uint32_t>(ranks) && !hosts_several;
        return !is_secure && shares_memory && machines == 1 && one_each && scheme != Scheme::ring;
    }
    /// Cores of a machine that ranks can use at once.
    [[nodiscard]] double cores_in_use() const;
    [[nodiscard]] std::uint32_t silos_of_busiest() const {
        return (silos + static_cast<std::uint32_t>(ranks) - 1) / static_cast<std::uint32_t>(ranks);
    }
    [[nodiscard]] std::size_t word() const { return ring_bits / 8; }
    [[nodiscard]] std::uint32_t members() const { return silos - leavers; }
};

/// The plan of a secure sum of so many silos of domains of their own: what the product would choose. UsageError where none holds.
[[nodiscard]] SecurePlan plan_of_silos(std::uint32_t silos, const SecureNeeds& needs);
/// The machines of a job, all alike.
struct MachineShape {
    int machines = 1;
    int cores = 1;            // of a machine
    double cached_bytes = 0;  // as in RoundShape
};
/// The shape of what `silosum bench` times.
[[nodiscard]] RoundShape shape_of(const BenchmarkSetting& setting, std::uint64_t ring_bits, bool is_secure, int ranks,
                                  const MachineShape& on);

/// By phase, under the names of the phase clock, with what no processor does under "idle": of the mean machine, all its ranks together.
[[nodiscard]] std::map<std::string, Work> work_of(const RoundShape& shape);
/// Whether caches do not hold all of its vectors.
[[nodiscard]] bool passes_memory(const RoundShape& shape);

/// Whether the work is done by a rank for each of its silos, so that the rank with most silos has most of it.
[[nodiscard]] bool is_of_silos(const std::string& phase, Kind kind, const RoundShape& shape);

/// Bytes that a rank holds at most, by what they are for. Without MPI, the program and training.
[[nodiscard]] std::map<std::string, double> memory_of(const RoundShape& shape);

}  // namespace silosum
