// Compiled where there is NCCL: against the library, or against the double of the tests.
#include "comm/nccl.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "device/cuda.cuh"

#if defined(SILOSUM_CUDA_EMULATED)
#include "nccl_double.hpp"
#else
#include <nccl.h>
#endif

namespace silosum {

namespace {

std::string text_of_result(ncclResult_t result, ncclComm* handle) {
    const std::string last = ncclGetLastError(handle);
    return fmt::format("NCCL: {}{}", ncclGetErrorString(result), last.empty() ? "" : " (" + last + ")");
}

std::size_t share_of(const Communicator& communicator, std::size_t all, std::size_t own) {
    require<RuntimeError>(all == own * static_cast<std::size_t>(communicator.size()), "{} values are not {} for each of {} ranks", all, own,
                          communicator.size());
    return own;
}

}  // namespace

Nccl::Nccl(const Communicator& communicator, const CudaStream& stream)
    : communicator_(communicator), stream_(stream), flag_(stream.allocate(sizeof(std::uint32_t))) {
    ncclUniqueId id{};
    succeed_on_first(communicator_, [&] {
        const ncclResult_t result = ncclGetUniqueId(&id);
        require<RuntimeError>(result == ncclSuccess, "{}", text_of_result(result, nullptr));
    });
    broadcast_bytes(communicator_, std::as_writable_bytes(std::span(&id, 1)), 0);
    // Nothing may wait for ever: every call returns at once, and settle() looks when it is done.
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    agree_on_error(communicator_, error_of([&] {
                       stream_.wait();
                       settle(ncclCommInitRankConfig(&handle_, communicator_.size(), id, communicator_.rank(), &config),
                              "the ranks to join NCCL");
                   }));
}

Nccl::~Nccl() {
    if (handle_ == nullptr) return;
    // All ranks are here or have thrown; after an error handle_ is null.
    if (error_of([&] { wait("NCCL to end"); })) return;
    (void)ncclCommDestroy(handle_);
}

void Nccl::give_up() {
    if (handle_ != nullptr) (void)ncclCommAbort(handle_);
    handle_ = nullptr;
}

void Nccl::fail(int result, const std::string& what) {
    const std::string text = text_of_result(static_cast<ncclResult_t>(result), handle_);
    give_up();
    throw RuntimeError(
        fmt::format("{} while it waited for {}; NCCL_DEBUG=INFO tells more, exchange.transport = auto does without it", text, what));
}

void Nccl::settle(int result, const std::string& what) {
    const auto error = error_of([&] {
        poll(
            [&] {
                if (result != ncclInProgress) return true;
                ncclResult_t state = ncclSuccess;
                const ncclResult_t asked = ncclCommGetAsyncError(handle_, &state);
                result = asked == ncclSuccess ? state : asked;
                return result != ncclInProgress;
            },
            communicator_.deadline_s(), what);
    });
    if (error) {
        give_up();
        throw *error;
    }
    if (result != ncclSuccess) fail(result, what);
}

void Nccl::wait(const std::string& what) {
    ncclResult_t state = ncclSuccess;
    const auto error = error_of([&] {
        require<RuntimeError>(handle_ != nullptr, "NCCL was given up after an error");
        poll(
            [&] {
                const cudaError_t queue = cudaStreamQuery(stream_.handle());
                if (queue == cudaErrorNotReady) {
                    (void)cudaGetLastError();  // the next launch would take it for its own
                    const ncclResult_t asked = ncclCommGetAsyncError(handle_, &state);
                    if (asked != ncclSuccess) state = asked;
                    return state != ncclSuccess && state != ncclInProgress;
                }
                cuda::check(queue);
                return true;
            },
            communicator_.deadline_s(), what);
    });
    if (error) {
        give_up();
        throw *error;
    }
    if (state != ncclSuccess && state != ncclInProgress) fail(state, what);
}

void Nccl::broadcast(std::span<std::byte> bytes, int root) {
    settle(ncclBroadcast(bytes.data(), bytes.data(), bytes.size(), ncclUint8, root, handle_, stream_.handle()), "a broadcast");
}

void Nccl::all_reduce_sum(std::span<std::uint32_t> words) {
    settle(ncclAllReduce(words.data(), words.data(), words.size(), ncclUint32, ncclSum, handle_, stream_.handle()), "a sum");
}
void Nccl::all_reduce_sum(std::span<std::uint64_t> words) {
    settle(ncclAllReduce(words.data(), words.data(), words.size(), ncclUint64, ncclSum, handle_, stream_.handle()), "a sum");
}

void Nccl::reduce_scatter_sum(std::span<const std::uint32_t> all, std::span<std::uint32_t> own) {
    settle(ncclReduceScatter(all.data(), own.data(), share_of(communicator_, all.size(), own.size()), ncclUint32, ncclSum, handle_,
                             stream_.handle()),
           "a sum by slices");
}
void Nccl::reduce_scatter_sum(std::span<const std::uint64_t> all, std::span<std::uint64_t> own) {
    settle(ncclReduceScatter(all.data(), own.data(), share_of(communicator_, all.size(), own.size()), ncclUint64, ncclSum, handle_,
                             stream_.handle()),
           "a sum by slices");
}

void Nccl::all_gather(std::span<const std::byte> own, std::span<std::byte> all) {
    settle(ncclAllGather(own.data(), all.data(), share_of(communicator_, all.size(), own.size()), ncclUint8, handle_, stream_.handle()),
           "a gathering");
}

void Nccl::all_to_all(std::span<const std::byte> out, std::span<std::byte> in) {
    const auto ranks = static_cast<std::size_t>(communicator_.size());
    const std::size_t bytes = share_of(communicator_, out.size(), in.size() / ranks);
    settle(ncclGroupStart(), "messages");
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        const int other = static_cast<int>(rank);
        settle(ncclSend(out.data() + rank * bytes, bytes, ncclUint8, other, handle_, stream_.handle()), "messages");
        settle(ncclRecv(in.data() + rank * bytes, bytes, ncclUint8, other, handle_, stream_.handle()), "messages");
    }
    settle(ncclGroupEnd(), "messages");
}

void Nccl::barrier() {
    all_reduce_sum(std::span(static_cast<std::uint32_t*>(flag_.get()), 1));
    wait("other ranks to come to a barrier");
}

std::string Nccl::version() {
    int version = 0;
    (void)ncclGetVersion(&version);
    return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace silosum
