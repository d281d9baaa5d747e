// The contract tests of kernels on the emulated GPU, under four schedules of its threads.
#include "cuda_emulator.hpp"
#include "kernels/place.hpp"

namespace silosum::kernels {

std::vector<Place> places() {
    std::vector<Place> result;
    for (const std::uint64_t schedule : {0U, 1U, 2U, 3U}) {
        result.push_back({.name = "schedule" + std::to_string(schedule), .schedule = schedule});
    }
    return result;
}

std::string why_not(const Place& /*place*/) {
    return "";
}

Stream stream_at(const Place& place, const Threads& threads) {
    emulator::set_seed(place.schedule);
    return {CudaStream(0), threads};
}

}  // namespace silosum::kernels
