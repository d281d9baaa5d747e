// Small sums over all silos, for metrics and moments: the same bits for every number of ranks and placement of silos.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "comm/mpi.hpp"
#include "exchange/secure_group.hpp"
#include "privacy/exact_numbers.hpp"

namespace silosum {

/// Words of hosted silos, by id; all of one length. Silos that are not in it give nothing.
using WordsOfSilos = std::map<std::uint32_t, std::vector<std::uint64_t>>;

/// Purposes of sums that hold sample counts of silos: sets of silos are watched there.
inline constexpr const char* row_totals = "rows";
inline constexpr const char* train_rows = "train rows";

class Sums {
public:
    virtual ~Sums() = default;
    /// Collective. The sum of the words of all silos, wrapping, equal on all ranks. length: of each silo's words, equal on all ranks.
    /// purpose: what is summed, once for a global model. Of a group that hosts a silo together the words of the first rank count.
    [[nodiscard]] virtual std::vector<std::uint64_t> sum(const std::string& purpose, std::size_t length, const WordsOfSilos& words) = 0;
    /// Whether what single silos give may be told to others.
    [[nodiscard]] virtual bool hides_silos() const = 0;
    /// Whether a sum to which these silos give something may be made; by id.
    [[nodiscard]] virtual bool are_enough(const std::vector<bool>& silos) const = 0;
};

/// The communicator must outlive it.
[[nodiscard]] std::unique_ptr<Sums> make_plain_sums(const Communicator& communicator, int ranks_per_silo = 1);
/// Under masks; the group must outlive it. Refusals are AgreedErrors.
[[nodiscard]] std::unique_ptr<Sums> make_secure_sums(SecureGroup& group);

/// Collective. The sums over all silos of numbers that each silo has added by itself, equal on all ranks.
[[nodiscard]] std::vector<double> sum_exactly(Sums& sums, const std::string& purpose, std::size_t length,
                                              const std::map<std::uint32_t, ExactNumbers>& of_silos);

}  // namespace silosum
