// Who takes part: every rank reads the shards of its silos, and all agree on what they are before anything is trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/mpi.hpp"
#include "comm/rank_groups.hpp"
#include "exchange/sums.hpp"
#include "federation/silo.hpp"

namespace silosum {

/// What all ranks know of a silo. Where sizes are hidden, rows are 1 where there are any; a hidden fingerprint is empty.
struct SiloEntry {
    std::string name;
    std::string file;
    std::string fingerprint;
    std::uint64_t train = 0;  // rows
    std::uint64_t validation = 0;
    std::uint64_t test = 0;
};

/// Rows of all silos together.
struct RowTotals {
    std::uint64_t train = 0;
    std::uint64_t validation = 0;
    std::uint64_t test = 0;
};

/// "" or the first name in which two lists differ: there may be hundreds.
[[nodiscard]] std::string difference(const std::vector<std::string>& a, const std::vector<std::string>& b);

/// What a silo says of its shard to all others.
struct Declaration {
    SiloEntry silo;
    Problem problem;
    std::vector<std::string> class_names;
    std::vector<std::string> feature_names;
};
[[nodiscard]] Declaration declaration_of(const Shard& shard);

struct Census {
    Problem problem;
    std::vector<std::string> class_names;
    std::vector<std::string> feature_names;
    std::vector<SiloEntry> silos;  // by id
    RowTotals totals;

    /// The next silo. DataError unless it fits to the others: one task, one feature shape, the same names of classes and features, a silo
    /// name of its own.
    void add(const Declaration& declaration);
    /// Silos that are gone have no rows any more.
    void leave_out(const std::vector<std::uint32_t>& lost);
    [[nodiscard]] std::uint64_t largest_train() const;
    /// By id.
    [[nodiscard]] std::vector<bool> silos_with(std::uint64_t SiloEntry::*split) const;
};

/// The group of ranks that hosts a silo: silos are dealt out in turn, so every group has as many as any other, or one more.
[[nodiscard]] constexpr int host_of(std::size_t silo, int groups) {
    return static_cast<int>(silo % static_cast<std::size_t>(groups));
}

/// Collective. Silo i is the i-th file. Reads the shards of this rank's silos into `hosted`, on every rank of a group, and checks that all
/// silos fit together. All ranks throw the same AgreedError where a shard cannot be read or does not fit, or is not the same for all of a
/// group. hides_sizes: silos say of each split only whether it has rows; totals are then to be summed otherwise. hides_fingerprints: nor
/// do they say which data they have. stage: a folder of this machine through which shards are read, or empty.
[[nodiscard]] Census take_census(const Communicator& world, const RankGroups& ranks, const std::vector<std::filesystem::path>& files,
                                 std::vector<Silo>& hosted, bool hides_sizes, bool hides_fingerprints,
                                 const std::filesystem::path& stage = {});
/// Collective. Rows of all silos, by a sum; 0 of a split that fewer silos have than a sum needs.
[[nodiscard]] RowTotals sum_rows(Sums& sums, const Census& census, const std::vector<Silo>& hosted);

}  // namespace silosum
