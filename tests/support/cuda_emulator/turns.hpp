// In which order the threads of a block that can run do so.
#pragma once

#include <array>
#include <cstddef>
#include <random>
#include <vector>

namespace emulator {

class Turns {
public:
    /// in_order: first come, first served. at_random: any of them. warp_by_warp: a warp goes on until it can no more, then another one
    /// does, which is as far apart as warps get.
    enum class Way { in_order, at_random, warp_by_warp };

    void begin(Way way, std::mt19937_64& random);
    /// Numbers of threads, ascending: of the whole block, or of one warp.
    void add(const std::vector<unsigned>& threads);
    [[nodiscard]] bool empty() const { return next_ == waiting_.size(); }
    /// Whose turn is next.
    unsigned choose();
    /// The one that was chosen has its turn.
    void take() { ++next_; }

private:
    void add_by_warps(const std::vector<unsigned>& threads);

    Way way_ = Way::in_order;
    std::mt19937_64* random_ = nullptr;
    std::vector<unsigned> waiting_;  // those before next_ have had their turn
    std::size_t next_ = 0;
};

}  // namespace emulator
