// The contract tests of kernels on the processor.
#include "kernels/place.hpp"

namespace silosum::kernels {

std::vector<Place> places() {
    std::vector<Place> result;
    for (const Isa isa : usable_isas()) result.push_back({.name = to_string(isa), .isa = isa});
    return result;
}

std::string why_not(const Place& /*place*/) {
    return "";
}

Stream stream_at(const Place& place, const Threads& threads) {
    use_isa(*place.isa);
    return threads;
}

}  // namespace silosum::kernels
