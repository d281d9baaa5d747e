#include "base/threads.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/denormals.hpp"
#include "base/error.hpp"

namespace silosum {

struct Threads::Pool {
    std::mutex mutex;
    std::condition_variable work_ready;
    std::condition_variable work_done;
    const std::function<void(std::size_t)>* work = nullptr;  // called with the part's number
    std::size_t parts = 0;
    std::size_t running = 0;
    unsigned long generation = 0;
    bool stopping = false;
    std::vector<std::thread> threads;

    void run(std::size_t part) {
        flush_denormals();
        unsigned long seen = 0;
        std::unique_lock lock(mutex);
        while (true) {
            work_ready.wait(lock, [&] { return stopping || generation != seen; });
            if (stopping) return;
            seen = generation;
            if (part < parts) {
                lock.unlock();
                (*work)(part);
                lock.lock();
            }
            if (--running == 0) work_done.notify_one();
        }
    }
};

Threads::Threads(std::size_t count) : count_(std::max<std::size_t>(1, count)) {
    if (count_ == 1) return;
    pool_ = std::make_unique<Pool>();
    try {
        for (std::size_t part = 1; part < count_; ++part) pool_->threads.emplace_back([this, part] { pool_->run(part); });
    } catch (const std::system_error& error) {
        const std::size_t started = pool_->threads.size() + 1;
        stop();
        throw RuntimeError(fmt::format("{} of {} threads could be started (run.threads): {}", started, count_, error.what()));
    }
}

Threads::~Threads() {
    stop();
}

void Threads::stop() {
    if (!pool_) return;
    {
        const std::lock_guard lock(pool_->mutex);
        pool_->stopping = true;
    }
    pool_->work_ready.notify_all();
    for (auto& thread : pool_->threads) thread.join();
}

void Threads::for_ranges(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body) const {
    if (n == 0) return;
    grain = std::max<std::size_t>(1, grain);
    const std::size_t grains = (n + grain - 1) / grain;
    const std::size_t parts = std::min(count_, grains);
    if (parts <= 1) {
        body(0, n);
        return;
    }
    const std::function<void(std::size_t)> work = [&](std::size_t part) {
        const std::size_t begin = grains * part / parts * grain;
        const std::size_t end = std::min(n, grains * (part + 1) / parts * grain);
        if (begin < end) body(begin, end);
    };
    std::unique_lock lock(pool_->mutex);
    pool_->work = &work;
    pool_->parts = parts;
    pool_->running = pool_->threads.size();
    ++pool_->generation;
    lock.unlock();
    pool_->work_ready.notify_all();
    work(0);
    lock.lock();
    pool_->work_done.wait(lock, [&] { return pool_->running == 0; });
}

}  // namespace silosum
