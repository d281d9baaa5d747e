// Losses: the softmax in vectors over the classes, the others, which are a few operations a sample, in plain double.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/loss.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/exponential-inl.hpp"
#include "kernels/loss.hpp"
#include "kernels/steps-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

using FloatVector = hn::Vec<Floats>;

inline constexpr std::size_t scratch_size = 4096;
inline constexpr std::size_t largest_block = 32;

/// Sum of e^(logit - largest) over the classes, and the first class that has the largest logit.
struct RowSum {
    float largest;
    double sum;
    std::size_t winner;
};

/// scratch[k] = e^(logit k - largest) in whole vectors. The vectors are read in place where they stay inside the batch (may_read_on);
/// what they hold beyond the row counts as -inf.
HWY_INLINE RowSum exponentiate(std::size_t classes, const float* logits, bool may_read_on, float* scratch) {
    const Floats d;
    const auto lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
    const std::size_t full = classes / float_lanes * float_lanes;
    const auto last_lanes = hn::FirstN(d, classes - full);
    if (!may_read_on) {
        std::memcpy(scratch, logits, classes * sizeof(float));
        logits = scratch;
    }
    auto largest = lowest;
    for (std::size_t k = 0; k < full; k += float_lanes) largest = hn::Max(largest, hn::LoadU(d, logits + k));
    if (full < classes) largest = hn::Max(largest, hn::IfThenElse(last_lanes, hn::LoadU(d, logits + full), lowest));
    largest = hn::MaxOfLanes(d, largest);

    RowSum row{hn::GetLane(largest), 0, classes};
    auto sum = hn::Zero(Doubles());
    const auto exponentials = [&](std::size_t k, FloatVector v) HWY_ATTR {
        const auto at = hn::FindFirstTrue(d, hn::Eq(v, largest));
        row.winner = std::min(row.winner, at < 0 ? classes : k + static_cast<std::size_t>(at));
        hn::StoreU(exponential(hn::Sub(v, largest)), d, scratch + k);
        auto part = load_doubles(scratch + k);
        if constexpr (float_lanes > double_lanes) part = hn::Add(part, load_doubles(scratch + k + double_lanes));
        sum = hn::Add(sum, part);
    };
    for (std::size_t k = 0; k < full; k += float_lanes) exponentials(k, hn::LoadU(d, logits + k));
    if (full < classes) exponentials(full, hn::IfThenElse(last_lanes, hn::LoadU(d, logits + full), lowest));
    row.sum = hn::GetLane(hn::SumOfLanes(Doubles(), sum));
    return row;
}

/// out = factor * scratch, in place where the vectors may run on into the next row, which is written later.
HWY_INLINE void store_scaled(std::size_t classes, float factor, bool may_write_on, float* scratch, float* out) {
    const Floats d;
    float* to = may_write_on ? out : scratch;
    for (std::size_t k = 0; k < classes; k += float_lanes) hn::StoreU(hn::Mul(hn::LoadU(d, scratch + k), hn::Set(d, factor)), d, to + k);
    if (!may_write_on) std::memcpy(out, scratch, classes * sizeof(float));
}

/// Runs over the rows in blocks: all exponentials of a block first, so that out may be logits. visit(row number, RowSum, exponentials)
/// returns the factor that makes them the output (null for none).
template <class Visit>
HWY_INLINE void over_rows(std::size_t batch, std::size_t classes, const float* logits, float* out, const Visit& visit) {
    const std::size_t padded = (classes + float_lanes - 1) / float_lanes * float_lanes;
    alignas(64) float small[scratch_size];
    std::vector<float> large(padded > scratch_size ? padded : 0);
    float* scratch = large.empty() ? small : large.data();
    const std::size_t block = std::clamp<std::size_t>(scratch_size / padded, 1, largest_block);
    RowSum sums[largest_block];
    for (std::size_t begin = 0; begin < batch; begin += block) {
        const std::size_t rows = std::min(block, batch - begin);
        for (std::size_t r = 0; r < rows; ++r) {
            const bool may_read_on = (begin + r) * classes + padded <= batch * classes;
            sums[r] = exponentiate(classes, logits + (begin + r) * classes, may_read_on, scratch + r * padded);
        }
        float factors[largest_block];
        for (std::size_t r = 0; r < rows; ++r) factors[r] = visit(begin + r, sums[r], scratch + r * padded);
        if (out == nullptr) continue;
        for (std::size_t r = 0; r < rows; ++r) {
            const bool may_write_on = r * classes + padded <= rows * classes;
            store_scaled(classes, factors[r], may_write_on, scratch + r * padded, out + (begin + r) * classes);
        }
    }
}

LossSum cross_entropy_rows(std::size_t batch, std::size_t classes, const float* logits, const std::int32_t* labels,
                           const float* class_weights, float scale, float* gradient) {
    LossSum result;
    over_rows(batch, classes, logits, gradient, [&](std::size_t r, const RowSum& row, float* exponentials) HWY_ATTR {
        assert(labels[r] >= 0 && static_cast<std::size_t>(labels[r]) < classes);
        const auto label = static_cast<std::size_t>(labels[r]);
        const double weight = class_weights == nullptr ? 1.0 : static_cast<double>(class_weights[label]);
        const double shifted = static_cast<double>(logits[r * classes + label]) - static_cast<double>(row.largest);
        result.loss += weight * (std::log(row.sum) - shifted);
        result.weight += weight;
        result.correct += row.winner == label ? 1U : 0U;
        // softmax - 1 in double, without cancellation where the softmax is near 1.
        exponentials[label] = static_cast<float>(static_cast<double>(exponentials[label]) - row.sum);
        return static_cast<float>(static_cast<double>(scale) * weight / row.sum);
    });
    return result;
}

void softmax_rows(std::size_t batch, std::size_t classes, const float* logits, float* probabilities) {
    over_rows(batch, classes, logits, probabilities,
              [](std::size_t, const RowSum& row, const float*) HWY_ATTR { return static_cast<float>(1.0 / row.sum); });
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(cross_entropy_rows);
HWY_EXPORT(softmax_rows);

/// log(1 + e^z)
double softplus(double z) {
    return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
}

}  // namespace

void mean_scale(std::size_t batch, const std::int32_t* labels, const float* class_weights, float* scale, const Threads& /*threads*/) {
    double sum = class_weights == nullptr ? static_cast<double>(batch) : 0;
    for (std::size_t r = 0; class_weights != nullptr && r < batch; ++r) sum += static_cast<double>(class_weights[labels[r]]);
    *scale = sum > 0 ? static_cast<float>(1 / sum) : 0.0F;
}

void softmax_cross_entropy(std::size_t batch, std::size_t classes, const float* logits, const std::int32_t* labels,
                           const float* class_weights, const float* scale, float* gradient, LossSum* sum, const Threads& /*threads*/) {
    *sum = HWY_DYNAMIC_DISPATCH(cross_entropy_rows)(batch, classes, logits, labels, class_weights, scale == nullptr ? 0 : *scale, gradient);
}

void binary_cross_entropy(std::size_t batch, const float* logits, const std::int32_t* labels, const float* class_weights,
                          const float* scale, float* gradient, LossSum* sum, const Threads& /*threads*/) {
    LossSum result;
    for (std::size_t r = 0; r < batch; ++r) {
        assert(labels[r] == 0 || labels[r] == 1);
        const auto z = static_cast<double>(logits[r]);
        const bool positive = labels[r] == 1;
        const double weight = class_weights == nullptr ? 1.0 : static_cast<double>(class_weights[labels[r]]);
        result.loss += weight * softplus(positive ? -z : z);
        result.weight += weight;
        result.correct += (z > 0) == positive ? 1U : 0U;
        if (gradient == nullptr) continue;
        // sigmoid(z) - 1 = -sigmoid(-z), without cancellation.
        const double wrong = 1.0 / (1.0 + std::exp(positive ? z : -z));
        gradient[r] = static_cast<float>(static_cast<double>(*scale) * weight * (positive ? -wrong : wrong));
    }
    *sum = result;
}

void squared_error(std::size_t batch, std::size_t outputs, const float* y, const float* targets, const float* scale, float* gradient,
                   LossSum* sum, const Threads& /*threads*/) {
    LossSum result;
    result.weight = static_cast<double>(batch);
    const double share = 1.0 / static_cast<double>(outputs);
    for (std::size_t r = 0; r < batch; ++r) {
        double loss = 0;
        for (std::size_t k = r * outputs; k < (r + 1) * outputs; ++k) {
            const double error = static_cast<double>(y[k]) - static_cast<double>(targets[k]);
            loss += error * error;
            if (gradient != nullptr) gradient[k] = static_cast<float>(static_cast<double>(*scale) * 2 * error * share);
        }
        result.loss += loss * share;
    }
    *sum = result;
}

void softmax(std::size_t batch, std::size_t classes, const float* logits, float* probabilities) {
    HWY_DYNAMIC_DISPATCH(softmax_rows)(batch, classes, logits, probabilities);
}

}  // namespace silosum::kernels
#endif
