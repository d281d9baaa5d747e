#include "comm/roll_call.hpp"

#include <ctime>
#include <vector>

#include <fmt/format.h>

#include "base/process.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

constexpr int question = 1;
constexpr int reply = 2;
constexpr double patience_s = 2;  // whoever waits looks for questions many times in it

}  // namespace

RollCall::RollCall(const Communicator& all) : own_(all.duplicate()) {}

// Nothing is in these messages, so that nobody has to wait until they have arrived.
void RollCall::say(int tag, int to) {
    MPI_Request request = MPI_REQUEST_NULL;
    mpi_check(MPI_Isend(nullptr, 0, MPI_BYTE, to, tag, own_.handle(), &request));
    mpi_check(MPI_Request_free(&request));
}

// The rank that has said it, or -1.
int RollCall::hear(int tag) {
    int has_come = 0;
    MPI_Status status;
    mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, tag, own_.handle(), &has_come, &status));
    if (has_come == 0) return -1;
    mpi_check(MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, tag, own_.handle(), MPI_STATUS_IGNORE));
    return status.MPI_SOURCE;
}

void RollCall::answer() {
    for (int rank = hear(question); rank >= 0; rank = hear(question)) say(reply, rank);
}

std::string RollCall::who_is_missing() {
    std::vector<bool> is_here(static_cast<std::size_t>(own_.size()), false);
    is_here[static_cast<std::size_t>(own_.rank())] = true;
    for (int rank = 0; rank < own_.size(); ++rank) {
        if (rank != own_.rank()) say(question, rank);
    }
    int missing = own_.size() - 1;
    for (const double start = wall_seconds(); missing > 0 && wall_seconds() - start < patience_s;) {
        answer();  // others may ask at the same time
        for (int rank = hear(reply); rank >= 0; rank = hear(reply)) {
            if (!is_here[static_cast<std::size_t>(rank)]) --missing;
            is_here[static_cast<std::size_t>(rank)] = true;
        }
        timespec nap{.tv_sec = 0, .tv_nsec = 200'000};
        nanosleep(&nap, nullptr);
    }
    if (missing == 0) return "all ranks answer, but one is too slow";
    constexpr std::size_t most = 8;
    std::vector<std::string> ranks;
    for (std::size_t rank = 0; rank < is_here.size() && ranks.size() < most; ++rank) {
        if (!is_here[rank]) ranks.push_back(std::to_string(rank));
    }
    const auto others = static_cast<std::size_t>(missing) - ranks.size();
    return fmt::format("{} {}{} not answer: stopped, gone or too slow", missing == 1 ? "rank" : "ranks", join(ranks, ", "),
                       others > 0     ? fmt::format(" and {} more do", others)
                       : missing == 1 ? " does"
                                      : " do");
}

}  // namespace silosum
