// Calls of MPI that wait for other ranks and cannot be given up.
#pragma once

#include <thread>

namespace silosum {

/// Where the call is not over in time, this process says so and ends, and with it the job.
class TimeLimit {
public:
    TimeLimit(const char* call, double seconds);

private:
    std::jthread timer_;
};

}  // namespace silosum
