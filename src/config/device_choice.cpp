#include "config/device_choice.hpp"

#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "device/devices.hpp"

namespace silosum {

std::string why_no_gpu() {
    if (!cuda::is_built()) return "this build has no CUDA (configure with -DSILOSUM_CUDA=ON, see docs/gpu.md)";
    try {
        (void)cuda::list_devices();
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

DeviceChoice choose_device(const Communicator& world, const std::string& device, const Threads& threads) {
    DeviceChoice choice{.stream = threads, .kind = "", .note = ""};
    if (device == "cpu") return choice;
    const std::string reason = why_no_gpu();
    std::vector<std::uint64_t> without{reason.empty() ? std::uint64_t{0} : 1};
    all_reduce_sum(world, std::span<std::uint64_t>(without));
    if (device == "auto" && without[0] > 0) {
        const bool some_have = without[0] < static_cast<std::uint64_t>(world.size());
        if (some_have) choice.note = fmt::format("{} of {} ranks see no GPU: all train on the processor", without[0], world.size());
        return choice;
    }
    succeed_on_all(world, [&] { require(reason.empty(), "run.device = {}: {}; or set run.device = cpu", device, reason); });

    const int place = world.split_by_machine().rank();
    std::uint64_t capability = 0;
    succeed_on_all(world, [&] {
        const auto devices = cuda::list_devices();
        const int own = place % static_cast<int>(devices.size());
        const auto& facts = devices[static_cast<std::size_t>(own)];
        capability = static_cast<std::uint64_t>(facts.major * 10 + facts.minor);
        choice.stream = Stream(CudaStream(own), threads);
    });
    std::set<std::string> kinds;
    for (const std::uint64_t of_rank : all_gather(world, capability)) kinds.insert(fmt::format("sm_{}", of_rank));
    choice.kind = "cuda " + join(std::vector<std::string>(kinds.begin(), kinds.end()), "+");
    if (kinds.size() > 1) choice.note = "GPUs of several kinds: the model's bits depend on which of them trains which silo";
    return choice;
}

}  // namespace silosum
