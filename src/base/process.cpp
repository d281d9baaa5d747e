#include "base/process.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"

namespace silosum {

namespace {

volatile std::sig_atomic_t received_signal = 0;
std::atomic<double> received_at{0};
static_assert(std::atomic<double>::is_always_lock_free);  // for use in a signal handler
double grace_s = 0;

void remember_signal(int signal) {
    if (received_signal == 0) received_at = wall_seconds();
    received_signal = signal;
    // The second Ctrl-C or TERM is meant: let it end the process. SIGUSR1 may come again from mpirun and srun both.
    if (signal != SIGUSR1) std::signal(signal, SIG_DFL);
}

double clock_seconds(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// A line "NAME:   123 kB" of /proc/self/status, in bytes.
std::size_t status_bytes(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(name + ":")) return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
    }
    return 0;
}

}  // namespace

double wall_seconds() {
    return clock_seconds(CLOCK_MONOTONIC);
}
double cpu_seconds() {
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

std::size_t resident_bytes() {
    return status_bytes("VmRSS");
}
std::size_t peak_resident_bytes() {
    return status_bytes("VmHWM");
}
void forget_peak_resident_bytes() {
    std::ofstream("/proc/self/clear_refs") << "5";
}

void watch_stop_signals() {
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) std::signal(signal, remember_signal);
}

void keep_memory_private() {
    // 1 byte rather than 0: Linux asks programs that collect dumps (systemd-coredump, apport) whatever the limit, but for 1 (core(5)).
    rlimit limit{};
    bool is_set = ::getrlimit(RLIMIT_CORE, &limit) == 0;
    if (limit.rlim_max > 0) limit = {1, 1};
    is_set = is_set && ::setrlimit(RLIMIT_CORE, &limit) == 0;
    require<RuntimeError>(is_set, "core dumps cannot be switched off: {}", std::strerror(errno));
}

int stop_signal() {
    return received_signal;
}
void set_grace(double seconds) {
    grace_s = seconds;
}
bool is_grace_over() {
    return received_signal != 0 && wall_seconds() - received_at > grace_s;
}

void keep_files_private() {
    ::umask(077);
}

std::optional<SlurmJob> slurm_job() {
    const char* id = std::getenv("SLURM_JOB_ID");
    if (id == nullptr) return std::nullopt;
    const char* restarts = std::getenv("SLURM_RESTART_COUNT");
    return SlurmJob{id, restarts == nullptr ? 0 : std::strtoull(restarts, nullptr, 10)};
}

bool output_is_watched() {
    if (isatty(STDOUT_FILENO) == 0) return false;
    if (std::getenv("OMPI_COMM_WORLD_RANK") == nullptr) return true;
    std::error_code error;
    const auto target = std::filesystem::read_symlink(fmt::format("/proc/{}/fd/1", getppid()), error).string();
    return !error && (target.starts_with("/dev/pts/") || target.starts_with("/dev/tty"));
}

}  // namespace silosum
