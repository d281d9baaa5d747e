// A batch that several ranks share: each takes its samples forward and back, then their gradients are added up before the step.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/loss.hpp"

namespace silosum {

/// The ranks that share a batch, as one of them sees the others.
class GradientSum {
public:
    virtual ~GradientSum() = default;
    /// gradient: of the samples here -> of the whole batch, with the same bits on all of these ranks. Returns the loss likewise.
    virtual kernels::LossSum add_up(const kernels::LossSum& loss, std::span<float> gradient) = 0;
};

/// What a rank has of a batch.
struct BatchPart {
    std::size_t first = 0;          // place of its first sample in the whole batch
    double weight = 0;              // of all samples of the whole batch
    GradientSum* others = nullptr;  // none: it has all of it
};

}  // namespace silosum
