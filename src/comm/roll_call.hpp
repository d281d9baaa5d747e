// Who is missing, where a rank has waited in vain: it asks all others, and those that wait as well answer.
#pragma once

#include <string>

#include <mpi.h>

namespace silosum {

class Communicator;

class RollCall {
public:
    /// Collective.
    explicit RollCall(const Communicator& all);
    ~RollCall();
    RollCall(const RollCall&) = delete;
    RollCall& operator=(const RollCall&) = delete;

    /// Answers those that have asked. Local and cheap; for ranks that wait.
    void answer();
    /// Asks all others, and says for people which of them have not answered after a second or two. A rank that is stopped, or gone, or that
    /// computes, does not answer.
    [[nodiscard]] std::string who_is_missing();

private:
    void say(int tag, int to);
    [[nodiscard]] int hear(int tag);

    MPI_Comm handle_ = MPI_COMM_NULL;
    int rank_ = 0;
    int size_ = 1;
};

}  // namespace silosum
