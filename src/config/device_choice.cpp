#include "config/device_choice.hpp"

#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "device/devices.hpp"

namespace silosum {

namespace {

struct Gpu {
    CudaStream stream;
    std::uint64_t capability;
    std::string bus_id;
};

/// The GPU of the rank at `place` among those of its machine.
Gpu open_gpu(int place) {
    require<RuntimeError>(cuda::is_built(), "this build has no CUDA (configure with -DSILOSUM_CUDA=ON, see docs/gpu.md)");
    const auto devices = cuda::list_devices();
    const int own = place % static_cast<int>(devices.size());
    const auto& facts = devices[static_cast<std::size_t>(own)];
    try {
        CudaStream stream(own);
        cuda::probe(stream);
        return {std::move(stream), static_cast<std::uint64_t>(facts.major * 10 + facts.minor), facts.bus_id};
    } catch (const Error& error) {
        throw RuntimeError(fmt::format("GPU {} ({}, sm_{}{}) cannot be used: {}", own, facts.name, facts.major, facts.minor, error.what()));
    }
}

}  // namespace

std::string why_no_gpu() {
    const auto error = error_of([] { (void)open_gpu(0); });
    return error ? error->what() : "";
}

DeviceChoice choose_device(const Communicator& world, const std::string& device, const std::string& math, const Threads& threads) {
    DeviceChoice choice{.stream = threads, .kind = "", .note = ""};
    const bool wants_tf32 = math == "tf32";
    const auto check_processor = [&] {
        succeed_on_all(world, [&] {
            require(!wants_tf32, "local.math = tf32 is of GPUs, but silos train on the processor (run.device = {}); set float32", device);
        });
    };
    if (device == "cpu") {
        check_processor();
        return choice;
    }
    std::optional<Gpu> gpu;
    const Communicator machine = world.split_by_machine();
    const auto error = error_of([&] { gpu = open_gpu(machine.rank()); });
    std::vector<std::uint64_t> without{error ? std::uint64_t{1} : 0};
    all_reduce_sum(world, std::span<std::uint64_t>(without));
    if (device == "auto" && without[0] > 0) {
        const bool some_have = without[0] < static_cast<std::uint64_t>(world.size());
        if (some_have) choice.note = fmt::format("{} of {} ranks have no GPU: all train on the processor", without[0], world.size());
        check_processor();
        return choice;
    }
    succeed_on_all(world, [&] { require(!error, "run.device = {}: {}; or set run.device = cpu", device, error ? error->what() : ""); });
    succeed_on_all(world, [&] {
        require(!wants_tf32 || gpu->capability >= 80,
                "local.math = tf32 needs GPUs of compute capability 8.0 or newer, but rank {} has one of {}.{}; set float32", world.rank(),
                gpu->capability / 10, gpu->capability % 10);
    });
    if (wants_tf32) gpu->stream.use_tf32();
    choice.stream = Stream(gpu->stream, threads);
    const auto bus_ids = all_gather_text(machine, gpu->bus_id);
    choice.is_shared = is_on_any(world, std::set<std::string>(bus_ids.begin(), bus_ids.end()).size() < bus_ids.size());
    std::set<std::string> kinds;
    for (const std::uint64_t of_rank : all_gather(world, gpu->capability)) kinds.insert(fmt::format("sm_{}", of_rank));
    choice.kind = fmt::format("CUDA {} {}", cuda::toolkit(), join(std::vector<std::string>(kinds.begin(), kinds.end()), "+"));
    if (wants_tf32) choice.kind += " tf32";
    if (kinds.size() > 1) choice.note = "GPUs of several kinds: the model's bits depend on which of them trains which silo";
    return choice;
}

}  // namespace silosum
