// A few threads that share loops. Work is cut by index, never by thread, so the bits do not depend on how many there are.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace silosum {

class Threads {
public:
    /// count >= 1; with 1 every loop runs on the caller and no thread is started.
    explicit Threads(std::size_t count = 1);
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

    [[nodiscard]] std::size_t count() const { return count_; }

    /// Calls body(begin, end) over parts that cover [0, n), each at least `grain` long but the last; returns when all are done.
    /// body must not throw and parts must not write to the same place. One caller at a time.
    void for_ranges(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body) const;

private:
    void stop();

    struct Pool;
    std::size_t count_;
    std::unique_ptr<Pool> pool_;
};

}  // namespace silosum
