// A queue that forgets its front now and then.
#include "turns.hpp"

#include <algorithm>
#include <numeric>

namespace emulator {

void Turns::begin(Way way, std::mt19937_64& random) {
    way_ = way;
    random_ = &random;
    waiting_.clear();
    next_ = 0;
}

void Turns::add(const std::vector<unsigned>& threads) {
    if (next_ > 4096) {
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(next_));
        next_ = 0;
    }
    if (way_ == Way::warp_by_warp) {
        add_by_warps(threads);
    } else {
        waiting_.insert(waiting_.end(), threads.begin(), threads.end());
    }
}

// Before all others, the warps in any order.
void Turns::add_by_warps(const std::vector<unsigned>& threads) {
    std::array<std::size_t, 33> begins{};  // of each warp, in `threads`
    for (std::size_t warp = 0; warp < begins.size(); ++warp) {
        const auto first = std::lower_bound(threads.begin(), threads.end(), static_cast<unsigned>(warp * 32));
        begins[warp] = static_cast<std::size_t>(first - threads.begin());
    }
    std::array<std::size_t, 32> order{};
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), *random_);
    if (next_ < threads.size()) {
        waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(next_), threads.size() - next_, 0);
        next_ = threads.size();
    }
    std::size_t at = next_ -= threads.size();
    for (const std::size_t warp : order) {
        const auto place = waiting_.begin() + static_cast<std::ptrdiff_t>(at);
        std::copy(threads.begin() + static_cast<std::ptrdiff_t>(begins[warp]),
                  threads.begin() + static_cast<std::ptrdiff_t>(begins[warp + 1]), place);
        const std::size_t lanes = begins[warp + 1] - begins[warp];
        if (((*random_)() & 1) != 0) std::reverse(place, place + static_cast<std::ptrdiff_t>(lanes));
        at += lanes;
    }
}

unsigned Turns::choose() {
    if (way_ == Way::at_random) std::swap(waiting_[next_], waiting_[next_ + (*random_)() % (waiting_.size() - next_)]);
    return waiting_[next_];
}

}  // namespace emulator
