// Which silos mask against each other, and how many shares open a mask.
//   complete: everybody with everybody (Bonawitz et al. 2017, ePrint 2017/281)
//   harary: a ring of silos in an order that nobody chooses, each with its nearest on either side (Bell et al. 2020, ePrint 2020/704)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace silosum {

enum class Adversary {
    curious,  // keeps to the protocol, and looks
    active,   // also lies, such as about who has left
};

/// What a federation of n silos must stand, as shares of n.
struct Threats {
    double corrupt = 0;   // gamma
    double dropouts = 0;  // delta
    Adversary adversary = Adversary::active;
    int security_bits = 40;     // sigma: an attack succeeds with at most 2^-sigma
    int correctness_bits = 20;  // eta: a round with no more dropouts fails with at most 2^-eta
};

struct GraphPlan {
    std::uint32_t neighbours = 0;  // of each silo; silos - 1: complete
    std::uint32_t threshold = 0;   // shares that open a mask, of those of the silo's neighbours and its own
    [[nodiscard]] bool operator==(const GraphPlan&) const = default;
};

/// The sparsest Harary graph that holds, after Bell et al. as in Google's federated-compute (graph_parameter_finder); nothing where none
/// does with less than silos - 1 neighbours. corrupt is taken as at least one silo unless it is 0.
[[nodiscard]] std::optional<GraphPlan> plan_harary(std::uint32_t silos, const Threats& threats);

/// For the complete graph: threshold floor(2n/3) + 1, which an active adversary with fewer than a third of the silos cannot reach on
/// both sides of a lie (Bonawitz et al. 2017, table 4).
[[nodiscard]] GraphPlan plan_complete(std::uint32_t silos);

class MaskGraph {
public:
    [[nodiscard]] static MaskGraph complete(std::uint32_t silos);
    /// neighbours: even, below silos. order: a permutation of 0 ... silos - 1, that of the ring.
    [[nodiscard]] static MaskGraph harary(std::span<const std::uint32_t> order, std::uint32_t neighbours);

    [[nodiscard]] std::uint32_t silos() const { return static_cast<std::uint32_t>(neighbours_.size()); }
    /// Ascending, without the silo itself.
    [[nodiscard]] std::span<const std::uint32_t> neighbours(std::uint32_t silo) const { return neighbours_[silo]; }
    [[nodiscard]] bool are_neighbours(std::uint32_t silo, std::uint32_t other) const;

private:
    std::vector<std::vector<std::uint32_t>> neighbours_;
};

/// A uniform permutation of 0 ... silos - 1 from a seed that all silos made together: the same everywhere.
[[nodiscard]] std::vector<std::uint32_t> ring_order(std::uint32_t silos, std::span<const std::uint8_t, 32> seed);

}  // namespace silosum
