#include "comm/mpi.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <exception>
#include <utility>

#include <sched.h>

#include "base/error.hpp"
#include "comm/roll_call.hpp"
#include "comm/time_limit.hpp"

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
constexpr double longest_end_s = 60;

}  // namespace

namespace detail {
void check_mpi(int code, const char* call, const char* file, int line) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0;
    MPI_Error_string(code, text, &length);
    const char* name = std::strrchr(file, '/');
    throw RuntimeError(fmt::format("{} failed: {} ({}:{})", call, text, name == nullptr ? file : name + 1, line));
}
}  // namespace detail

Session::Session(int& argc, char**& argv) {
    int provided = MPI_THREAD_SINGLE;
    const TimeLimit limit("MPI_Init", longest_start_s);
    mpi_check(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    require<RuntimeError>(provided >= MPI_THREAD_FUNNELED,
                          "this MPI library gives no thread support (MPI_THREAD_FUNNELED); use another build");
}

Session::~Session() {
    const TimeLimit limit("MPI_Finalize", longest_end_s);
    MPI_Finalize();
}

Communicator::Communicator(MPI_Comm handle) : handle_(handle) {
    mpi_check(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN));
    mpi_check(MPI_Comm_rank(handle_, &rank_));
    mpi_check(MPI_Comm_size(handle_, &size_));
}

Communicator Communicator::world() {
    MPI_Comm handle = MPI_COMM_NULL;
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
      roll_call_(std::move(other.roll_call_)) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
    if (this == &other) return *this;
    free();
    handle_ = std::exchange(other.handle_, MPI_COMM_NULL);
    rank_ = other.rank_;
    size_ = other.size_;
    deadline_s_ = other.deadline_s_;
    largest_count_ = other.largest_count_;
    roll_call_ = std::move(other.roll_call_);
    return *this;
}

void Communicator::free() noexcept {
    if (handle_ == MPI_COMM_NULL) return;
    // Freeing is collective: while an error unwinds this rank the others may never come, and after MPI_Finalize it is gone anyway.
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && std::uncaught_exceptions() == 0) MPI_Comm_free(&handle_);
    handle_ = MPI_COMM_NULL;
}

Communicator Communicator::duplicate() const {
    MPI_Comm handle = MPI_COMM_NULL;
    MPI_Request request = MPI_REQUEST_NULL;
    mpi_check(MPI_Comm_idup(handle_, &handle, &request));
    wait(request, *this, "all ranks to come to the making of a communicator");
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
    made.roll_call_ = other.roll_call_;
    return made;
}

Communicator Communicator::split(int part) const {
    MPI_Comm handle = MPI_COMM_NULL;
    const TimeLimit limit("MPI_Comm_split", deadline_s_);
    mpi_check(MPI_Comm_split(handle_, part, rank_, &handle));
    return with_limits_of(handle, *this);
}

Communicator Communicator::split_by_machine() const {
    MPI_Comm handle = MPI_COMM_NULL;
    const TimeLimit limit("MPI_Comm_split_type", deadline_s_);
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

void poll(const std::function<bool()>& is_done, const Communicator& communicator, const std::string& what) {
    constexpr double long_s = 0.05;  // by then this rank may be one that others wait for
    const auto start = std::chrono::steady_clock::now();
    Backoff backoff;
    while (!is_done()) {
        backoff.pause();
        if (!backoff.is_idle()) continue;
        const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
        RollCall* const roll_call = communicator.roll_call();
        if (roll_call != nullptr && waited.count() > long_s) roll_call->answer();
        if (waited.count() < communicator.deadline_s()) continue;
        throw RuntimeError(fmt::format("waited {:g} s for {}: {} (exchange.deadline_s sets the limit)", communicator.deadline_s(), what,
                                       roll_call == nullptr ? "another rank has stopped or is too slow" : roll_call->who_is_missing()));
    }
}

void wait_all(std::vector<MPI_Request>& requests, const Communicator& communicator, const std::string& what) {
    const auto is_done = [&] {
        int done = 0;
        mpi_check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
        return done != 0;
    };
    if (requests.empty()) return;
    poll(is_done, communicator, what);
    requests.clear();
}

void wait(MPI_Request& request, const Communicator& communicator, const std::string& what) {
    const auto is_done = [&] {
        int done = 0;
        mpi_check(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
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
