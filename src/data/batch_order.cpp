#include "data/batch_order.hpp"

#include <algorithm>
#include <cassert>

#include "base/random.hpp"

namespace silosum {

namespace {

std::size_t effective_size(const BatchPlan& plan) {
    return plan.batch_size == 0 ? plan.rows : std::min(plan.batch_size, plan.rows);
}

}  // namespace

std::size_t BatchPlan::batches_per_epoch() const {
    if (rows == 0) return 0;
    const std::size_t size = effective_size(*this);
    return drop_last ? rows / size : (rows + size - 1) / size;
}

BatchOrder BatchOrder::of_epochs(const BatchPlan& plan, std::uint64_t seed, std::uint32_t silo, std::uint32_t round, std::size_t epochs) {
    BatchOrder order(plan, seed, silo);
    order.round_ = round;
    order.left_ = epochs * plan.batches_per_epoch();
    order.shuffle();
    return order;
}

BatchOrder BatchOrder::of_steps(const BatchPlan& plan, std::uint64_t seed, std::uint32_t silo, std::uint32_t round, std::size_t steps) {
    assert(round >= 1 && plan.rows > 0);
    BatchOrder order(plan, seed, silo);
    order.continues_ = true;
    const std::uint64_t position = static_cast<std::uint64_t>(round - 1) * steps;
    order.epoch_ = position / plan.batches_per_epoch();
    order.batch_ = position % plan.batches_per_epoch();
    order.left_ = steps;
    order.shuffle();
    return order;
}

void BatchOrder::shuffle() {
    if (continues_) {
        const Random random(seed_, Purpose::batch_order, silo_, static_cast<std::uint32_t>(epoch_));
        order_ = permutation(random, plan_.rows);
        return;
    }
    const Random random(seed_, Purpose::batch_order, silo_, round_);
    order_ = permutation(random, plan_.rows, epoch_ * plan_.rows);
}

std::span<const std::uint32_t> BatchOrder::next() {
    if (left_ == 0) return {};
    if (batch_ == plan_.batches_per_epoch()) {
        batch_ = 0;
        ++epoch_;
        shuffle();
    }
    const std::size_t size = effective_size(plan_);
    const std::size_t first = batch_ * size;
    ++batch_;
    --left_;
    return std::span(order_).subspan(first, std::min(size, plan_.rows - first));
}

}  // namespace silosum
