#include "comm/time_limit.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"

namespace silosum {

TimeLimit::TimeLimit(const char* call, double seconds)
    : timer_([call, seconds](const std::stop_token& is_over) {
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any never;
          never.wait_for(lock, is_over, std::chrono::duration<double>(seconds), [] { return false; });
          if (is_over.stop_requested()) return;
          fmt::print(stderr, "silosum: waited {:g} s in {}: another rank has stopped, or never came\n", seconds, call);
          std::fflush(stderr);
          ::_exit(static_cast<int>(ExitCode::runtime));
      }) {}

}  // namespace silosum
