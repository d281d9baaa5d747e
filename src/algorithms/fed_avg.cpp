#include "algorithms/fed_avg.hpp"

#include "kernels/fixed_point.hpp"

namespace silosum {

void FedAvg::apply(std::span<float> slice, const Aggregate& aggregate, const Round& /*round*/, const Stream& stream) {
    stream.run([&](const auto& on) { kernels::add_scaled(slice.size(), lr_, aggregate.mean.data(), slice.data(), on); });
}

}  // namespace silosum
