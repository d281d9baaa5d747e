// Theoretical occupancy of kernels, without a GPU: reads lines "sm registers shared_bytes threads", writes the percentage of the threads
// that a multiprocessor could hold. By NVIDIA's own calculation, with what their data sheets say of the multiprocessors.
#include <cuda_occupancy.h>
#include <cuda_runtime_api.h>

#include <cstdio>

namespace {

struct Multiprocessor {
    int sm;
    int threads;
    int blocks;
    int shared_bytes;
};
constexpr Multiprocessor known[] = {{75, 1024, 16, 65536}, {80, 2048, 32, 167936}, {90, 2048, 32, 233472}, {100, 2048, 32, 233472}};

}  // namespace

int main() {
    int sm = 0, registers = 0, shared_bytes = 0, threads = 0;
    while (std::scanf("%d %d %d %d", &sm, &registers, &shared_bytes, &threads) == 4) {
        const Multiprocessor* found = nullptr;
        for (const auto& one : known) {
            if (one.sm == sm) found = &one;
        }
        if (found == nullptr) {
            std::fprintf(stderr, "the multiprocessors of sm_%d are not known here\n", sm);
            return 1;
        }
        cudaOccDeviceProp device;
        device.computeMajor = sm / 10;
        device.computeMinor = sm % 10;
        device.maxThreadsPerBlock = 1024;
        device.maxThreadsPerMultiprocessor = found->threads;
        device.regsPerBlock = 65536;
        device.regsPerMultiprocessor = 65536;
        device.warpSize = 32;
        device.sharedMemPerBlock = 49152;
        device.sharedMemPerMultiprocessor = static_cast<size_t>(found->shared_bytes);
        device.sharedMemPerBlockOptin = static_cast<size_t>(found->shared_bytes) - 1024;
        device.reservedSharedMemPerBlock = sm >= 80 ? 1024 : 0;
        device.numSms = 1;
        cudaOccFuncAttributes kernel;
        kernel.maxThreadsPerBlock = threads;
        kernel.numRegs = registers;
        kernel.sharedSizeBytes = static_cast<size_t>(shared_bytes);
        kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
        kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_DEFAULT;
        kernel.maxDynamicSharedSizeBytes = 0;
        kernel.numBlockBarriers = 1;
        cudaOccDeviceState state;
        cudaOccResult result;
        if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, 0) != CUDA_OCC_SUCCESS) {
            std::fprintf(stderr, "no occupancy for %d threads with %d registers on sm_%d\n", threads, registers, sm);
            return 1;
        }
        // Blocks that a multiprocessor cannot hold for their number alone are no fault of small blocks.
        std::printf("%d\n", 100 * result.activeBlocksPerMultiprocessor * threads / found->threads);
    }
}
