// Who is missing, where a rank has waited in vain: it asks all others, and those that wait as well answer.
#pragma once

#include <string>

#include "comm/mpi.hpp"

namespace silosum {

class RollCall {
public:
    /// Collective.
    explicit RollCall(const Communicator& all);
    ~RollCall() = default;
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

    Communicator own_;
};

}  // namespace silosum
