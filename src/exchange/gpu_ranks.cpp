#include "exchange/gpu_ranks.hpp"

#include "base/error.hpp"
#include "comm/agreement.hpp"

namespace silosum {

GpuRanks::GpuRanks(const Communicator& all, const RankGroups& groups, const Stream& making)
    : all_(all), making_(making), carrying_(making) {
    succeed_on_all(all_, [&] { carrying_ = Stream(CudaStream(making.cuda().device()), making.threads()); });
    // The peers of different positions join side by side: what happens to some is told to all.
    agree_on_error(all_, error_of([&] { peers_ = std::make_unique<Nccl>(groups.peers(), carrying_.cuda()); }));
    if (groups.each() > 1) all_ranks_ = std::make_unique<Nccl>(all_, carrying_.cuda());
}

std::size_t GpuRanks::all_gather(const Slices& slices, std::span<float> whole) {
    Nccl& ranks = all_ranks_ ? *all_ranks_ : *peers_;
    made_.set(making_.cuda());
    made_.hold(carrying_.cuda());
    ranks.all_gather(slices, sizeof(float), std::as_writable_bytes(whole));
    ranks.wait("the slices of other ranks");
    return slices.size(all_.rank()) * sizeof(float) * static_cast<std::size_t>(all_.size() - 1);
}

void GpuRanks::settle() noexcept {
    if (all_ranks_) all_ranks_->settle();
    if (peers_) peers_->settle();
    (void)error_of([&] { carrying_.wait(); });
}

}  // namespace silosum
