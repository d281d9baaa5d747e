#include "benchmark/machine_load.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <sched.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/process.hpp"
#include "base/text.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

// Seconds that all cores of the machine were at work since it started, or 0: the first line of /proc/stat, in ticks.
double busy_seconds() {
    std::ifstream stat("/proc/stat");
    std::string line;
    std::getline(stat, line);
    std::istringstream words(line);
    std::string name;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft_interrupts = 0, stolen = 0;
    if (!(words >> name >> user >> nice >> system >> idle >> waiting >> interrupts >> soft_interrupts >> stolen)) return 0;
    return (user + nice + system + interrupts + soft_interrupts + stolen) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// By which two readings of it may well differ though nothing was done: of six numbers each is cut to whole ticks.
double rounding() {
    return 3.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::size_t available_bytes() {
    std::ifstream info("/proc/meminfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
    }
    return 0;
}

int allowed_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

}  // namespace

MachineLoad::MachineLoad(const Communicator& communicator)
    : communicator_(communicator), machine_(communicator.split_by_machine()), cores_(std::max(1U, std::thread::hardware_concurrency())) {
    struct Place {
        int first;  // rank of the job that leads the machine
        int ranks;
        int cores;
        int allowed;
    };
    const int first = all_gather(machine_, communicator.rank()).front();
    const auto places = all_gather(communicator, Place{first, machine_.size(), static_cast<int>(cores_), allowed_cores()});
    std::set<int> machines;
    double most = 0;
    bool is_pinned = false;
    for (const auto& place : places) {
        if (machines.insert(place.first).second) all_cores_ += std::min(place.ranks, place.cores);
        most = std::max(most, static_cast<double>(place.ranks) / place.cores);
        is_pinned = is_pinned || (place.allowed > 0 && place.allowed < place.cores);
    }
    placement_ = fmt::format("{} on {} of {}{}; ranks are {}", counted(places.size(), "rank"), counted(machines.size(), "machine"),
                             counted(static_cast<std::size_t>(places.front().cores), "core"),
                             most > 1 ? fmt::format(": up to {:.3g} ranks a core, which wait for each other's core", most) : "",
                             is_pinned ? "pinned" : "not pinned");
}

void MachineLoad::begin() {
    own_ = own_seconds();
    wall_ = wall_seconds();
    busy_ = busy_seconds();
}

double MachineLoad::share_of_others() const {
    const double own = own_seconds() - own_;
    const double wall = wall_seconds() - wall_;
    const double busy = busy_seconds() - busy_ - rounding();
    double share = wall > 0 ? std::clamp((busy - own) / (wall * cores_), 0.0, 1.0) : 0;
    all_reduce_max(communicator_, std::span<double>(&share, 1));
    return share;
}

std::size_t MachineLoad::free_bytes_each() const {
    return available_bytes() / static_cast<std::size_t>(machine_.size());
}

double MachineLoad::own_seconds() const {
    double sum = 0;
    for (const double seconds : all_gather(machine_, cpu_seconds())) sum += seconds;
    return sum;
}

}  // namespace silosum
