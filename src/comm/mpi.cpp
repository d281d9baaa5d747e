#include "comm/mpi.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <utility>

#include <sched.h>
#include <unistd.h>

#include "base/error.hpp"
#include "comm/roll_call.hpp"
#include "comm/survivors.hpp"
#include "comm/watch.hpp"

namespace silosum {

namespace {

constexpr int message_tag = 1;
constexpr int first_signal_tag = 2;

// A rank that waits must not take the core from a rank that trains, as there may be more ranks than cores.
class Backoff {
public:
    void pause() {
        ++turns_;
        if (turns_ <= spins) return;
        if (turns_ <= spins + yields) {
            sched_yield();
            return;
        }
        timespec nap{.tv_sec = 0, .tv_nsec = nap_ns_};
        nanosleep(&nap, nullptr);
        nap_ns_ = std::min<long>(nap_ns_ * 2, longest_nap_ns);
    }
    // The clock is read only when time is being given away.
    [[nodiscard]] bool is_idle() const { return turns_ > spins + yields; }

private:
    static constexpr int spins = 50;
    static constexpr int yields = 5;
    static constexpr long longest_nap_ns = 200'000;
    int turns_ = 0;
    long nap_ns_ = 20'000;
};

// Before a configuration is there, and after all is written: nobody has said how long.
constexpr double longest_start_s = 600;
constexpr double longest_end_s = 600;

}  // namespace

namespace detail {
void check_mpi(int code, const char* call, const char* file, int line) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0;
    MPI_Error_string(code, text, &length);
    if (tells_of_death(code)) throw RankDied(fmt::format("{} says: {}", call, text));
    const char* name = std::strrchr(file, '/');
    throw RuntimeError(fmt::format("{} failed: {} ({}:{})", call, text, name == nullptr ? file : name + 1, line));
}
}  // namespace detail

Session::Session(int& argc, char**& argv) {
    int provided = MPI_THREAD_SINGLE;
    const BlockingCall blocking(nullptr, "MPI_Init", longest_start_s);
    mpi_check(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    require<RuntimeError>(provided >= MPI_THREAD_FUNNELED,
                          "this MPI library gives no thread support (MPI_THREAD_FUNNELED); use another build");
}

Session::~Session() {
    constexpr double grace_s = 5;  // ranks end one after the other
    const BlockingCall blocking(watch_.get(), "MPI_Finalize", longest_end_s, grace_s);
    if (watch_) watch_->stop_listening();
    MPI_Finalize();
}

int Session::end(int code) const {
    if (!watch_ || !watch_->has_dead()) return code;
    watch_->leave();
    std::fflush(nullptr);
    _exit(code);
}

Communicator::Communicator(MPI_Comm handle) : handle_(handle) {
    mpi_check(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN));
    mpi_check(MPI_Comm_rank(handle_, &rank_));
    mpi_check(MPI_Comm_size(handle_, &size_));
}

Communicator Communicator::world() {
    MPI_Comm handle = MPI_COMM_NULL;
    const BlockingCall blocking(nullptr, "MPI_Comm_dup", longest_start_s);
    mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &handle));
    return Communicator(handle);
}

Communicator::~Communicator() {
    free();
}

Communicator::Communicator(Communicator&& other) noexcept
    : handle_(std::exchange(other.handle_, MPI_COMM_NULL)),
      rank_(other.rank_),
      size_(other.size_),
      deadline_s_(other.deadline_s_),
      largest_count_(other.largest_count_),
      watch_(std::move(other.watch_)),
      roll_call_(std::move(other.roll_call_)) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
    if (this == &other) return *this;
    free();
    handle_ = std::exchange(other.handle_, MPI_COMM_NULL);
    rank_ = other.rank_;
    size_ = other.size_;
    deadline_s_ = other.deadline_s_;
    largest_count_ = other.largest_count_;
    watch_ = std::move(other.watch_);
    roll_call_ = std::move(other.roll_call_);
    return *this;
}

void Communicator::free() noexcept {
    if (handle_ == MPI_COMM_NULL) return;
    // Freeing is collective: while an error unwinds this rank the others may never come, nor the dead ever, and after MPI_Finalize it is
    // gone anyway.
    int finalized = 0;
    MPI_Finalized(&finalized);
    const bool are_all_here = std::uncaught_exceptions() == 0 && !(watch_ && watch_->has_dead());
    if (finalized == 0 && are_all_here) MPI_Comm_free(&handle_);
    handle_ = MPI_COMM_NULL;
}

// The old one is not freed: some of its ranks are dead.
void Communicator::replace_by(MPI_Comm handle) {
    handle_ = MPI_COMM_NULL;
    *this = Communicator(handle);
}

void Communicator::watch_deaths() {
    watch_ = std::make_shared<Watch>(*this);
}

Communicator Communicator::survivors() const {
    Communicator made = with_limits_of(watch_->survivors(deadline_s_), *this);
    made.roll_call_.reset();  // the dead are in it
    return made;
}

Communicator Communicator::duplicate() const {
    MPI_Comm handle = MPI_COMM_NULL;
    // Not MPI_Comm_idup: where Open MPI 4.1 has one that never ends, no communicator can be made any more.
    const BlockingCall blocking(watch(), "MPI_Comm_dup", deadline_s_);
    mpi_check(MPI_Comm_dup(handle_, &handle));
    return with_limits_of(handle, *this);
}

Communicator Communicator::duplicate(double deadline_s) const {
    Communicator copy = duplicate();
    copy.set_deadline(deadline_s);
    return copy;
}

Communicator Communicator::with_limits_of(MPI_Comm handle, const Communicator& other) {
    Communicator made(handle);
    made.deadline_s_ = other.deadline_s_;
    made.largest_count_ = other.largest_count_;
    made.watch_ = other.watch_;
    made.roll_call_ = other.roll_call_;
    return made;
}

Communicator Communicator::split(int part) const {
    MPI_Comm handle = MPI_COMM_NULL;
    const BlockingCall blocking(watch(), "MPI_Comm_split", deadline_s_);
    mpi_check(MPI_Comm_split(handle_, part, rank_, &handle));
    return with_limits_of(handle, *this);
}

Communicator Communicator::split_by_machine() const {
    MPI_Comm handle = MPI_COMM_NULL;
    const BlockingCall blocking(watch(), "MPI_Comm_split_type", deadline_s_);
    mpi_check(MPI_Comm_split_type(handle_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &handle));
    return with_limits_of(handle, *this);
}

void Communicator::abort(int code) const {
    MPI_Abort(handle_, code);
    std::terminate();
}

void Communicator::call_the_roll() {
    roll_call_ = std::make_shared<RollCall>(*this);
}

namespace {

// For the message of a missed deadline, which must not get lost where asking fails.
std::string who_is_missing(RollCall* roll_call) {
    try {
        if (roll_call != nullptr) return roll_call->who_is_missing();
    } catch (const std::exception& error) {
        return fmt::format("another rank has stopped, is gone or too slow, and asking which does not work ({})", error.what());
    }
    return "another rank has stopped or is too slow";
}

}  // namespace

void poll(const std::function<bool()>& is_done, const Communicator& communicator, const std::string& what) {
    constexpr double long_s = 0.05;  // by then this rank may be one that others wait for
    Watch* const watch = communicator.watch();
    RollCall* const roll_call = communicator.roll_call();
    if (watch != nullptr) {
        watch->count_wait();
        watch->check();
    }
    const auto start = std::chrono::steady_clock::now();
    Backoff backoff;
    while (!is_done()) {
        backoff.pause();
        if (!backoff.is_idle()) continue;
        if (watch != nullptr) watch->look();
        const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
        if (roll_call != nullptr && waited.count() > long_s) roll_call->answer();
        if (waited.count() < communicator.deadline_s()) continue;
        if (watch != nullptr) watch->miss(what);
        throw RuntimeError(fmt::format("waited {:g} s for {}: {} (exchange.deadline_s sets the limit)", communicator.deadline_s(), what,
                                       who_is_missing(roll_call)));
    }
}

namespace {

// MPI may tell of a dead rank by an error of its own.
void check_test(int code, const Communicator& communicator) {
    if (code != MPI_SUCCESS && communicator.watch() != nullptr) communicator.watch()->look();
    mpi_check(code);
}

}  // namespace

void wait_all(std::vector<MPI_Request>& requests, const Communicator& communicator, const std::string& what) {
    const auto is_done = [&] {
        int done = 0;
        check_test(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE), communicator);
        return done != 0;
    };
    if (requests.empty()) return;
    poll(is_done, communicator, what);
    requests.clear();
}

void wait(MPI_Request& request, const Communicator& communicator, const std::string& what) {
    const auto is_done = [&] {
        int done = 0;
        check_test(MPI_Test(&request, &done, MPI_STATUS_IGNORE), communicator);
        return done != 0;
    };
    poll(is_done, communicator, what);
}

void Transfers::send(const void* data, std::size_t bytes, int to) {
    const auto* begin = static_cast<const std::byte*>(data);
    for (std::size_t done = 0; done < bytes;) {
        const std::size_t piece = std::min(bytes - done, communicator_->largest_count());
        requests_.push_back(MPI_REQUEST_NULL);
        mpi_check(MPI_Isend(begin + done, static_cast<int>(piece), MPI_BYTE, to, message_tag, communicator_->handle(), &requests_.back()));
        done += piece;
    }
}

void Transfers::receive(void* data, std::size_t bytes, int from) {
    auto* begin = static_cast<std::byte*>(data);
    for (std::size_t done = 0; done < bytes;) {
        const std::size_t piece = std::min(bytes - done, communicator_->largest_count());
        requests_.push_back(MPI_REQUEST_NULL);
        mpi_check(
            MPI_Irecv(begin + done, static_cast<int>(piece), MPI_BYTE, from, message_tag, communicator_->handle(), &requests_.back()));
        done += piece;
    }
}

void Transfers::signal(int kind, int to) {
    requests_.push_back(MPI_REQUEST_NULL);
    mpi_check(MPI_Isend(nullptr, 0, MPI_BYTE, to, first_signal_tag + kind, communicator_->handle(), &requests_.back()));
}

void Transfers::expect(int kind, int from) {
    requests_.push_back(MPI_REQUEST_NULL);
    mpi_check(MPI_Irecv(nullptr, 0, MPI_BYTE, from, first_signal_tag + kind, communicator_->handle(), &requests_.back()));
}

}  // namespace silosum
