#include "algorithms/fed_avg.hpp"

#include "kernels/fixed_point.hpp"

namespace silosum {

void FedAvg::apply(std::span<float> slice, const Aggregate& aggregate, const Round& /*round*/) {
    kernels::add_scaled(slice.size(), lr_, aggregate.mean.data(), slice.data());
}

}  // namespace silosum
