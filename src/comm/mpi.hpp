// The only way to MPI: checked calls, handles that free themselves, and waits that end at a deadline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <mpi.h>

namespace silosum {

/// Throws RuntimeError with the call, MPI's own text, the file and the line when an MPI call fails.
#define mpi_check(call) ::silosum::detail::check_mpi((call), #call, __FILE__, __LINE__)

namespace detail {
void check_mpi(int code, const char* call, const char* file, int line);
}

class Watch;

/// MPI from start to end of the program. One in main, before anything else that uses MPI; only its thread may call MPI.
class Session {
public:
    Session(int& argc, char**& argv);
    /// MPI_Finalize, which waits for all ranks; after an error use Communicator::abort instead of coming here.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// The watch over its ranks (comm/watch.hpp), if there is one, lasts until the end, which it keeps from waiting for the dead.
    void keep(std::shared_ptr<Watch> watch) { watch_ = std::move(watch); }
    /// Ends the program in order, also after a death, where some MPI libraries never come back from MPI_Finalize. Files are closed before.
    [[nodiscard]] int end(int code) const;

private:
    std::shared_ptr<Watch> watch_;
};

class RollCall;

/// A group of ranks with its own message space. Making one is collective.
class Communicator {
public:
    /// A duplicate of all ranks of the job. MPI must be started.
    [[nodiscard]] static Communicator world();
    ~Communicator();
    Communicator(Communicator&& other) noexcept;
    Communicator& operator=(Communicator&& other) noexcept;
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;

    [[nodiscard]] int rank() const { return rank_; }
    [[nodiscard]] int size() const { return size_; }
    [[nodiscard]] MPI_Comm handle() const { return handle_; }

    /// The same ranks with a message space of their own; keeps the deadline and the limit.
    [[nodiscard]] Communicator duplicate() const;
    [[nodiscard]] Communicator duplicate(double deadline_s) const;
    /// The ranks that give the same number, from 0 on, in the same order.
    [[nodiscard]] Communicator split(int part) const;
    /// The ranks that can share memory with this one, in the same order.
    [[nodiscard]] Communicator split_by_machine() const;
    /// Ends the job on every rank with this exit code.
    [[noreturn]] void abort(int code) const;

    /// Collective over all ranks of the job. Waits of this communicator, and of those that are made from it from now on, end with RankDied
    /// once a rank has died.
    void watch_deaths();
    /// Null where nobody watches.
    [[nodiscard]] Watch* watch() const { return watch_.get(); }
    [[nodiscard]] const std::shared_ptr<Watch>& shared_watch() const { return watch_; }
    /// Those that are left, in the same order; see Watch::survivors. Of a communicator of all ranks, or of all that were left last time.
    [[nodiscard]] Communicator survivors() const;
    /// Collective over all ranks of the job. From now on waits of this communicator, and of those that are made from it, say which ranks
    /// are missing when a deadline passes.
    void call_the_roll();
    /// Null where nobody does.
    [[nodiscard]] RollCall* roll_call() const { return roll_call_.get(); }

    /// How long an operation waits for other ranks before it throws.
    [[nodiscard]] double deadline_s() const { return deadline_s_; }
    void set_deadline(double seconds) { deadline_s_ = seconds; }
    /// Longer vectors travel in pieces of this many elements: MPI counts are int. Tests lower it.
    [[nodiscard]] std::size_t largest_count() const { return largest_count_; }
    void limit_count(std::size_t elements) { largest_count_ = elements; }

private:
    friend class Watch;
    explicit Communicator(MPI_Comm handle);
    void replace_by(MPI_Comm handle);
    [[nodiscard]] static Communicator with_limits_of(MPI_Comm handle, const Communicator& other);
    void free() noexcept;

    MPI_Comm handle_ = MPI_COMM_NULL;
    int rank_ = 0;
    int size_ = 1;
    double deadline_s_ = 3600;
    std::size_t largest_count_ = std::size_t{1} << 30;
    std::shared_ptr<Watch> watch_;
    std::shared_ptr<RollCall> roll_call_;
};

/// Asks until it is done, as below: for what is waited for without MPI. By the communicator's deadline and watch.
void poll(const std::function<bool()>& is_done, const Communicator& communicator, const std::string& what);

/// Waits with MPI_Testall, first spinning, then yielding, then in short sleeps, so that ranks which wait leave the cores to ranks which
/// compute. Throws RuntimeError naming `what` when the deadline passes, and RankDied when a rank has died. MPI may then still touch the
/// buffers: they must not be given to anybody else.
void wait_all(std::vector<MPI_Request>& requests, const Communicator& communicator, const std::string& what);
void wait(MPI_Request& request, const Communicator& communicator, const std::string& what);

/// Messages on their way, sent and received as bytes. Messages between two ranks arrive in the order they were started.
class Transfers {
public:
    explicit Transfers(const Communicator& communicator) : communicator_(&communicator) {}
    void send(const void* data, std::size_t bytes, int to);
    void receive(void* data, std::size_t bytes, int from);
    /// A message without content, and the wait for one. Kinds (from 0) never match each other, nor send().
    void signal(int kind, int to);
    void expect(int kind, int from);
    /// Until all are done; buffers may be used again afterwards.
    void wait(const std::string& what) { wait_all(requests_, *communicator_, what); }
    /// True while MPI may still use a buffer, as after a missed deadline.
    [[nodiscard]] bool pending() const { return !requests_.empty(); }

private:
    const Communicator* communicator_;
    std::vector<MPI_Request> requests_;
};

}  // namespace silosum
