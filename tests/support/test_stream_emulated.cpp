// Tests of models on the emulated GPU, with its threads and streams in a random order.
#include "cuda_emulator.hpp"
#include "support/test_stream.hpp"

namespace silosum::test {

const Stream& stream() {
    static const Threads threads(1);
    static const Stream gpu = [] {
        emulator::set_seed(1);
        return Stream(CudaStream(0), threads);
    }();
    return gpu;
}

}  // namespace silosum::test
