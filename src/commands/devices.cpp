#include "commands/devices.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/device_choice.hpp"
#include "device/devices.hpp"
#include "kernels/isa.hpp"

namespace silosum {

namespace {

constexpr const char* usage =
    "usage: silosum devices\n\n"
    "Shows what run.device can be on this machine. Where jobs run on other machines, ask there: srun silosum devices\n";

}  // namespace

int run_devices(const std::vector<std::string>& arguments) {
    if (!arguments.empty()) {
        const bool asks = arguments.front() == "--help" || arguments.front() == "-h";
        fmt::print(asks ? stdout : stderr, "{}", usage);
        return static_cast<int>(asks ? ExitCode::done : ExitCode::usage);
    }
    fmt::print("cpu     {}\n", kernels::to_string(kernels::best_isa()));
    if (const std::string reason = why_no_gpu(); !reason.empty()) {
        fmt::print("cuda    none: {}\n", reason);
        return static_cast<int>(ExitCode::done);
    }
    const auto devices = cuda::list_devices();
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const auto& device = devices[i];
        fmt::print("cuda:{}  {}, sm_{}{}, {} multiprocessors, {:.1f} GiB\n", i, device.name, device.major, device.minor,
                   device.multiprocessors, static_cast<double>(device.memory_bytes) / static_cast<double>(std::size_t{1} << 30));
    }
    return static_cast<int>(ExitCode::done);
}

}  // namespace silosum
