// The contract tests of kernels on the first GPU, where there is one.
#include "base/error.hpp"
#include "device/devices.hpp"
#include "kernels/place.hpp"

namespace silosum::kernels {

std::vector<Place> places() {
    return {{.name = "gpu"}};
}

std::string why_not(const Place& /*place*/) {
    try {
        (void)cuda::list_devices();
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

Stream stream_at(const Place& /*place*/, const Threads& threads) {
    return {CudaStream(0), threads};
}

}  // namespace silosum::kernels
