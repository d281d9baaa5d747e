// Ranks that die: how the others notice it while they wait, agree on who is left, and go on without the dead.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/lifelines.hpp"
#include "comm/mpi.hpp"
#include "comm/rank_died.hpp"

namespace silosum {

/// Watches over the ranks of a job; ranks are numbered here as when it began.
class Watch {
public:
    /// Collective over all ranks.
    explicit Watch(const Communicator& all);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// This rank, as numbered here.
    [[nodiscard]] int rank() const { return rank_; }
    /// From now on a rank that does not answer by a deadline counts as dead; otherwise the waiting rank ends with an error.
    void take_late_for_dead() { takes_late_for_dead_ = true; }

    /// Throws RankDied where a death is known already. Local and cheap, as both below.
    void check() const;
    /// The same, after looking at the ranks of this machine and for word from others.
    void look();
    /// At a missed deadline: throws RankDied if late ranks count as dead.
    void miss(const std::string& what);

    /// Whether any rank has died so far.
    [[nodiscard]] bool has_dead() const;
    /// What is known of the dead, "rank 2 has died".
    [[nodiscard]] std::string text() const;
    /// Whether no living rank has a lower number, as far as this one knows: it speaks for all.
    [[nodiscard]] bool is_first() const;
    /// By rank, when the watch began: whether it has died. Equal on all survivors from survivors() until the next death.
    [[nodiscard]] std::vector<bool> dead() const;

    /// All that are left come here, soon or by the deadline, and only they. A communicator of them in the same order; to be freed by the
    /// caller. RuntimeError where the others have gone on without this rank, or too few are left to be sure that none live elsewhere.
    [[nodiscard]] MPI_Comm survivors(double deadline_s);

    /// Instead of MPI_Finalize: waits for the others to come here too, as far as they do, and ends without being taken for dead.
    void leave();
    /// Ends listening; before MPI_Finalize. This rank has not left yet.
    void stop_listening();

    /// For rehearsals: this process kills itself at its wait of this number, counted from now on; 0: at none.
    void die_at_wait(std::size_t wait) { waits_left_ = wait; }
    void count_wait();

private:
    friend class BlockingCall;
    // What is known of a rank. Late: it did not answer; dead: its kernel says so, or MPI does.
    enum State : unsigned char { alive, late, dead_for_sure };
    using States = std::vector<State>;

    void listen();
    void hear();
    void take(const States& told);
    void tell();
    [[nodiscard]] bool is_member(int rank) const { return members_[static_cast<std::size_t>(rank)]; }
    [[nodiscard]] bool has_cut_neighbour();
    void agree(double deadline_s);
    void move_to(MPI_Comm survivors);

    int rank_;
    std::vector<bool> members_;  // of own_, by rank when the watch began
    std::vector<int> ranks_;     // of own_, by its ranks
    Communicator own_;           // of those that were alive last time
    std::optional<Lifelines> lifelines_;
    States states_;
    bool alarmed_ = false;  // something has died that survivors() has not dealt with
    bool takes_late_for_dead_ = false;
    std::vector<std::optional<States>> told_;  // by rank, since the last survivors()
    std::unique_ptr<States> heard_;            // where word of others arrives
    MPI_Request hearing_ = MPI_REQUEST_NULL;
    std::size_t waits_left_ = 0;
};

/// While it is there, this rank is in a call of MPI that cannot be given up. Where another rank of this machine dies then, and the call
/// does not return all the same, the program ends soon; otherwise at the deadline.
class BlockingCall {
public:
    /// watch may be null: there is only the deadline then.
    BlockingCall(Watch* watch, const char* call, double deadline_s, double grace_s = 3);
    ~BlockingCall() = default;
    BlockingCall(const BlockingCall&) = delete;
    BlockingCall& operator=(const BlockingCall&) = delete;

private:
    std::jthread observer_;
};

}  // namespace silosum
