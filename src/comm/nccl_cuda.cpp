// Compiled where there is NCCL: against the library, or against the double of the tests.
#include "comm/nccl.hpp"

#include <chrono>
#include <exception>
#include <future>
#include <thread>
#include <utility>

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

Nccl::Nccl(const Communicator& communicator, const CudaStream& stream) : communicator_(communicator), stream_(stream) {
    succeed_on_all(communicator_, [&] {
        flag_ = stream_.allocate(sizeof(std::uint32_t));
        stream_.wait();
    });
    ncclUniqueId id{};
    succeed_on_first(communicator_, [&] {
        const ncclResult_t result = ncclGetUniqueId(&id);
        require<RuntimeError>(result == ncclSuccess, "{}", text_of_result(result, nullptr));
    });
    broadcast_bytes(communicator_, std::as_writable_bytes(std::span(&id, 1)), 0);
    // Nothing may wait for ever: every call returns at once, and end_call() looks when it is done.
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const auto error = error_of([&] {
        end_call(ncclCommInitRankConfig(&handle_, communicator_.size(), id, communicator_.rank(), &config), "the ranks to join NCCL");
    });
    try {
        agree_on_error(communicator_, error);
    } catch (...) {
        give_up();
        throw;
    }
}

Nccl::~Nccl() {
    settle();
    if (handle_ != nullptr) (void)ncclCommDestroy(handle_);
}

// NCCL's own end is a meeting of all ranks, which an exception on this one would miss.
void Nccl::settle() noexcept {
    if (handle_ == nullptr) return;
    bool is_settled = std::uncaught_exceptions() == 0;
    try {
        if (is_settled) wait("NCCL to end");
    } catch (const std::exception&) {  // it has been told already, or will be at the end of the job
        is_settled = false;
    }
    if (!is_settled) give_up();
}

// NCCL's abort ends kernels at once, but may then wait for threads that wait for other ranks: it must not keep this rank from its message.
void Nccl::give_up() noexcept {
    if (handle_ == nullptr) return;
    try {
        std::promise<void> ended;
        auto end = ended.get_future();
        std::thread abort([handle = handle_, ended = std::move(ended)]() mutable {
            (void)ncclCommAbort(handle);
            ended.set_value();
        });
        handle_ = nullptr;
        constexpr auto patience = std::chrono::seconds(5);
        if (end.wait_for(patience) == std::future_status::ready) {
            abort.join();
        } else {
            abort.detach();
        }
    } catch (...) {  // no thread is to be had: the end of the program ends NCCL too
        handle_ = nullptr;
    }
}

void Nccl::fail(int result, const std::string& what) {
    const std::string text = text_of_result(static_cast<ncclResult_t>(result), handle_);
    give_up();
    throw RuntimeError(
        fmt::format("{} while it waited for {}; NCCL_DEBUG=INFO tells more, exchange.transport = auto does without it", text, what));
}

// Whatever ends the wait too early, also a death: nothing of NCCL may still wait for other ranks when buffers are freed.
void Nccl::poll_or_give_up(const std::function<bool()>& is_done, const std::string& what) {
    try {
        poll(is_done, communicator_, what);
    } catch (...) {
        give_up();
        throw;
    }
}

void Nccl::end_call(int result, const std::string& what) {
    ncclResult_t state = static_cast<ncclResult_t>(result);
    poll_or_give_up(
        [&] {
            if (state != ncclInProgress) return true;
            const ncclResult_t asked = ncclCommGetAsyncError(handle_, &state);
            if (asked != ncclSuccess) state = asked;
            return state != ncclInProgress;
        },
        what);
    if (state != ncclSuccess) fail(state, what);
}

void Nccl::wait_until(const std::function<bool()>& is_done, const std::string& what) {
    require<RuntimeError>(handle_ != nullptr, "NCCL was given up after an error");
    ncclResult_t state = ncclSuccess;
    poll_or_give_up(
        [&] {
            if (is_done()) return true;
            const ncclResult_t asked = ncclCommGetAsyncError(handle_, &state);
            if (asked != ncclSuccess) state = asked;
            return state != ncclSuccess && state != ncclInProgress;
        },
        what);
    if (state != ncclSuccess && state != ncclInProgress) fail(state, what);
}

void Nccl::wait(const std::string& what) {
    wait_until([&] { return stream_.is_done(); }, what);
}

void Nccl::wait(const CudaMark& mark, const std::string& what) {
    wait_until([&] { return mark.is_reached(); }, what);
}

void Nccl::broadcast(std::span<std::byte> bytes, int root) {
    end_call(ncclBroadcast(bytes.data(), bytes.data(), bytes.size(), ncclUint8, root, handle_, stream_.handle()), "a broadcast");
}

void Nccl::all_reduce_sum(std::span<std::uint32_t> words) {
    end_call(ncclAllReduce(words.data(), words.data(), words.size(), ncclUint32, ncclSum, handle_, stream_.handle()), "a sum");
}
void Nccl::all_reduce_sum(std::span<std::uint64_t> words) {
    end_call(ncclAllReduce(words.data(), words.data(), words.size(), ncclUint64, ncclSum, handle_, stream_.handle()), "a sum");
}
void Nccl::all_reduce_sum(std::span<const float> own, std::span<float> sum) {
    require<RuntimeError>(own.size() == sum.size(), "a sum of {} values does not fit {}", own.size(), sum.size());
    end_call(ncclAllReduce(own.data(), sum.data(), own.size(), ncclFloat32, ncclSum, handle_, stream_.handle()), "a sum of floats");
}

void Nccl::reduce_scatter_sum(std::span<const std::uint32_t> all, std::span<std::uint32_t> own) {
    end_call(ncclReduceScatter(all.data(), own.data(), share_of(communicator_, all.size(), own.size()), ncclUint32, ncclSum, handle_,
                               stream_.handle()),
             "a sum by slices");
}
void Nccl::reduce_scatter_sum(std::span<const std::uint64_t> all, std::span<std::uint64_t> own) {
    end_call(ncclReduceScatter(all.data(), own.data(), share_of(communicator_, all.size(), own.size()), ncclUint64, ncclSum, handle_,
                               stream_.handle()),
             "a sum by slices");
}

void Nccl::all_gather(std::span<const std::byte> own, std::span<std::byte> all) {
    end_call(ncclAllGather(own.data(), all.data(), share_of(communicator_, all.size(), own.size()), ncclUint8, handle_, stream_.handle()),
             "a gathering");
}

// Broadcasts that belong together run as one: NCCL's own all-gather wants slices of one size.
void Nccl::all_gather(const Slices& slices, std::size_t bytes_each, std::span<std::byte> whole) {
    const auto call = [&](int rank) {
        const auto slice = whole.subspan(slices.begin(rank) * bytes_each, slices.size(rank) * bytes_each);
        if (slice.empty()) return ncclSuccess;
        return ncclBroadcast(slice.data(), slice.data(), slice.size(), ncclUint8, rank, handle_, stream_.handle());
    };
    for_all_ranks(call, "a gathering of slices");
}

void Nccl::all_to_all(std::span<const std::byte> out, std::span<std::byte> in) {
    const std::size_t bytes = share_of(communicator_, out.size(), in.size() / static_cast<std::size_t>(communicator_.size()));
    const auto call = [&](int rank) {
        const std::size_t at = static_cast<std::size_t>(rank) * bytes;
        const ncclResult_t sent = ncclSend(out.data() + at, bytes, ncclUint8, rank, handle_, stream_.handle());
        return sent != ncclSuccess ? sent : ncclRecv(in.data() + at, bytes, ncclUint8, rank, handle_, stream_.handle());
    };
    for_all_ranks(call, "messages");
}

void Nccl::for_all_ranks(const std::function<int(int)>& call, const std::string& what) {
    int result = ncclGroupStart();
    for (int rank = 0; rank < communicator_.size() && result == ncclSuccess; ++rank) result = call(rank);
    const ncclResult_t ended = ncclGroupEnd();  // also after an error, or all later calls would wait for it
    end_call(result == ncclSuccess ? ended : result, what);
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
