#include "comm/watch.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <utility>

#include <sched.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "comm/survivors.hpp"

namespace silosum {

namespace {

constexpr int word_tag = 1;

std::size_t index(int rank) {
    return static_cast<std::size_t>(rank);
}

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Watch::Watch(const Communicator& all)
    : rank_(all.rank()), members_(index(all.size()), true), own_(all.duplicate()), states_(members_.size(), alive), told_(members_.size()) {
    for (int rank = 0; rank < all.size(); ++rank) ranks_.push_back(rank);
    try {
        lifelines_.emplace(own_);
    } catch (const AgreedError&) {
        // No memory to share: deaths show by missed deadlines only.
    }
    listen();
}

Watch::~Watch() {
    stop_listening();
}

void Watch::listen() {
    heard_ = std::make_unique<States>(states_.size());
    mpi_check(MPI_Irecv(heard_->data(), static_cast<int>(heard_->size()), MPI_BYTE, MPI_ANY_SOURCE, word_tag, own_.handle(), &hearing_));
}

void Watch::stop_listening() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (hearing_ == MPI_REQUEST_NULL || finalized != 0) return;
    if (has_dead() || std::uncaught_exceptions() > 0) {
        (void)heard_.release();  // MPI may still write there
        hearing_ = MPI_REQUEST_NULL;
        return;
    }
    MPI_Cancel(&hearing_);
    MPI_Wait(&hearing_, MPI_STATUS_IGNORE);
}

void Watch::leave() {
    constexpr double longest_s = 30;
    own_.set_deadline(longest_s);
    try {
        barrier(own_);
    } catch (const std::exception&) {
        // Whoever does not come has its own reasons, and says so.
    }
    lifelines_.reset();
}

void Watch::hear() {
    for (;;) {
        int has_come = 0;
        MPI_Status status;
        const int code = MPI_Test(&hearing_, &has_come, &status);
        if (code != MPI_SUCCESS) {
            alarmed_ = true;  // a receive from anybody fails where somebody has died
            return;
        }
        if (has_come == 0) return;
        const int from = ranks_[index(status.MPI_SOURCE)];
        take(*heard_);
        told_[index(from)] = *heard_;
        listen();
    }
}

void Watch::take(const States& told) {
    alarmed_ = true;
    for (std::size_t rank = 0; rank < states_.size(); ++rank) states_[rank] = std::max(states_[rank], told[rank]);
}

// Also to ranks that are late: one that lives must learn that the others have gone on.
void Watch::tell() {
    for (std::size_t to = 0; to < ranks_.size(); ++to) {
        const int rank = ranks_[to];
        if (rank == rank_ || states_[index(rank)] == dead_for_sure) continue;
        const auto* const words = new States(states_);  // for good: nobody knows when a message to the dead is done
        MPI_Request sending = MPI_REQUEST_NULL;
        const int code =
            MPI_Isend(words->data(), static_cast<int>(words->size()), MPI_BYTE, static_cast<int>(to), word_tag, own_.handle(), &sending);
        if (code == MPI_SUCCESS) MPI_Request_free(&sending);
    }
}

bool Watch::has_cut_neighbour() {
    if (!lifelines_) return false;
    bool is_new = false;
    for (const int rank : lifelines_->neighbours()) {
        if (states_[index(rank)] == dead_for_sure || !is_member(rank) || !lifelines_->is_cut(rank)) continue;
        states_[index(rank)] = dead_for_sure;
        is_new = true;
    }
    return is_new;
}

bool Watch::has_dead() const {
    return std::any_of(states_.begin(), states_.end(), [](State state) { return state != alive; }) || alarmed_;
}

std::vector<bool> Watch::dead() const {
    std::vector<bool> dead;
    for (const State state : states_) dead.push_back(state != alive);
    return dead;
}

bool Watch::is_first() const {
    return std::find(states_.begin(), states_.end(), alive) - states_.begin() == rank_;
}

std::string Watch::text() const {
    std::vector<std::string> died;
    std::vector<std::string> silent;
    for (std::size_t rank = 0; rank < states_.size(); ++rank) {
        if (states_[rank] != alive) (states_[rank] == late ? silent : died).push_back(std::to_string(rank));
    }
    std::vector<std::string> parts;
    const auto add = [&](const std::vector<std::string>& ranks, const char* one, const char* many) {
        if (!ranks.empty())
            parts.push_back(fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", join(ranks, ", ")) +
                            (ranks.size() == 1 ? one : many));
    };
    add(died, " has died", " have died");
    add(silent, " does not answer", " do not answer");
    return parts.empty() ? "a rank has died" : join(parts, ", ");
}

void Watch::check() const {
    if (alarmed_) throw RankDied(text());
}

void Watch::look() {
    const bool is_news = has_cut_neighbour();
    hear();
    if (is_news) {
        alarmed_ = true;
        tell();  // ranks of other machines wait too
    }
    check();
}

void Watch::miss(const std::string& what) {
    if (!takes_late_for_dead_ || finds_survivors()) return;  // what MPI finds alive cannot be left behind
    alarmed_ = true;
    tell();
    throw RankDied(fmt::format("waited too long for {}", what));
}

void Watch::count_wait() {
    if (waits_left_ > 0 && --waits_left_ == 0) std::raise(SIGKILL);
}

// Everybody tells everybody what it knows, again whenever it learns something, until all who are left say the same.
void Watch::agree(double deadline_s) {
    alarmed_ = true;
    double since = seconds_now();
    States told;
    for (;;) {
        (void)has_cut_neighbour();
        hear();
        require<RuntimeError>(states_[index(rank_)] == alive,
                              "it did not answer in time, and the others have gone on without it (exchange.deadline_s sets the limit)");
        if (told != states_) {
            told = states_;
            tell();
            since = seconds_now();
        }
        bool is_agreed = true;
        const bool is_late = seconds_now() - since > deadline_s;
        for (const int rank : ranks_) {
            if (rank == rank_ || told[index(rank)] != alive || told_[index(rank)] == told) continue;
            is_agreed = false;
            if (is_late) states_[index(rank)] = late;
        }
        if (is_agreed) break;
        timespec nap{.tv_sec = 0, .tv_nsec = 200'000};
        nanosleep(&nap, nullptr);
    }
    std::size_t living = 0;
    std::size_t unsure = 0;
    for (const int rank : ranks_) {
        if (states_[index(rank)] == alive) ++living;
        if (states_[index(rank)] == late) ++unsure;
    }
    require<RuntimeError>(living > unsure, "{} of {} ranks do not answer: nobody knows on which side the job goes on, so it ends", unsure,
                          ranks_.size());
}

MPI_Comm Watch::survivors(double deadline_s) {
    if (!finds_survivors()) agree(deadline_s);
    std::vector<int> living;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
        if (states_[index(ranks_[r])] == alive) living.push_back(static_cast<int>(r));
    }
    const BlockingCall blocking(this, "the making of a communicator of those who are left", deadline_s);
    const MPI_Comm made = survivors_of(own_.handle(), living);
    move_to(made);
    return made;
}

// Word that is still on its way in the old communicator is about deaths that have been dealt with.
void Watch::move_to(MPI_Comm survivors) {
    MPI_Comm copy = MPI_COMM_NULL;
    mpi_check(MPI_Comm_dup(survivors, &copy));
    MPI_Group before = MPI_GROUP_NULL;
    MPI_Group now = MPI_GROUP_NULL;
    MPI_Comm_group(own_.handle(), &before);
    MPI_Comm_group(copy, &now);
    std::vector<int> numbers(ranks_.size());
    std::vector<int> places(ranks_.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int>(i);
    MPI_Group_translate_ranks(before, static_cast<int>(numbers.size()), numbers.data(), now, places.data());
    MPI_Group_free(&before);
    MPI_Group_free(&now);
    std::vector<int> ranks;
    for (std::size_t i = 0; i < places.size(); ++i) {
        const int rank = ranks_[i];
        members_[index(rank)] = places[i] != MPI_UNDEFINED;
        if (is_member(rank)) {
            ranks.push_back(rank);
        } else if (states_[index(rank)] == alive) {
            states_[index(rank)] = dead_for_sure;
        }
    }
    (void)heard_.release();
    ranks_ = std::move(ranks);
    own_.replace_by(copy);
    std::fill(told_.begin(), told_.end(), std::nullopt);
    alarmed_ = false;
    listen();
}

BlockingCall::BlockingCall(Watch* watch, const char* call, double deadline_s, double grace_s) {
    Lifelines* const lines = watch != nullptr && watch->lifelines_ ? &*watch->lifelines_ : nullptr;
    std::vector<int> watched;
    for (const int rank : lines == nullptr ? std::vector<int>() : lines->neighbours()) {
        if (watch->is_member(rank) && watch->states_[index(rank)] == Watch::alive) watched.push_back(rank);
    }
    observer_ = std::jthread([=](const std::stop_token& done) {
        const auto end = [call](const std::string& why) {
            // Nothing in order: the thread that is in the call holds what that would need.
            std::fputs(fmt::format("silosum: {} during {}, which waits for all: this rank ends too\n", why, call).c_str(), stderr);
            _exit(static_cast<int>(ExitCode::runtime));
        };
        const double start = seconds_now();
        double death = 0;
        std::mutex alone;
        std::condition_variable_any wake;
        std::unique_lock lock(alone);
        while (!wake.wait_for(lock, done, std::chrono::milliseconds(20), [&] { return done.stop_requested(); })) {
            if (seconds_now() - start > deadline_s) end(fmt::format("{:g} s have passed", deadline_s));
            const auto dead = std::find_if(watched.begin(), watched.end(), [&](int rank) { return lines->is_cut(rank); });
            if (dead == watched.end()) continue;
            if (death == 0) death = seconds_now();
            if (seconds_now() - death > grace_s) end(fmt::format("rank {} has died", *dead));
        }
    });
}

}  // namespace silosum
