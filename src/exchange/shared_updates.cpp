#include "exchange/shared_updates.hpp"

#include <algorithm>
#include <atomic>

namespace silosum {

namespace {

constexpr std::size_t line = 64;                // bytes; everything begins at a cache line
constexpr std::size_t piece_length = 2048;      // words of a piece stay in the caches of a core
constexpr std::size_t turn_length = 1UL << 14;  // coordinates that a rank takes on at a time

static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);  // no lock works between processes

[[nodiscard]] std::size_t padded(std::size_t bytes, std::size_t to) {
    return (bytes + to - 1) / to * to;
}

}  // namespace

SharedUpdates::SharedUpdates(const Communicator& communicator, const Nodes& nodes, const Slices& slices)
    : rank_(communicator.rank()), slices_(slices) {
    const std::size_t needed = line + padded(slices.largest() * sizeof(double), line) + padded(slices.coordinates() * sizeof(float), line);
    each_ = padded(needed, needed < huge_page ? line : huge_page);
    memory_ = shared_memory(communicator, nodes, static_cast<std::size_t>(communicator.size()) * each_);
}

std::uint64_t& SharedUpdates::taken_of(int rank) const {
    return *reinterpret_cast<std::uint64_t*>(memory_.get() + static_cast<std::size_t>(rank) * each_);
}
double* SharedUpdates::mean_of(int rank) const {
    return reinterpret_cast<double*>(memory_.get() + static_cast<std::size_t>(rank) * each_ + line);
}
float* SharedUpdates::of(int rank) const {
    return reinterpret_cast<float*>(reinterpret_cast<std::byte*>(mean_of(rank)) + padded(slices_.largest() * sizeof(double), line));
}

Buffer<float> SharedUpdates::own() const {
    return {memory_, of(rank_), slices_.coordinates()};
}
Buffer<double> SharedUpdates::own_mean() const {
    return {memory_, mean_of(rank_), slices_.size(rank_)};
}

void SharedUpdates::begin() {
    std::atomic_ref(taken_of(rank_)) = 0;
}

double SharedUpdates::add_up(std::uint64_t bits, std::span<kernels::SummedUpdate> updates, const float* global, double range, double unit,
                             double weight_sum, PhaseClock& clock) {
    if (bits == 32) return add_up_words<std::uint32_t>(updates, global, range, unit, weight_sum, clock);
    return add_up_words<std::uint64_t>(updates, global, range, unit, weight_sum, clock);
}

template <class Word>
double SharedUpdates::add_up_words(std::span<kernels::SummedUpdate> updates, const float* global, double range, double unit,
                                   double weight_sum, PhaseClock& clock) {
    Buffer<Word> words(std::min(piece_length, slices_.coordinates()));
    PhaseTime encoding;
    PhaseTime decoding;
    double largest = 0;
    Laps laps;
    const auto take_turn = [&](int owner, std::size_t first, std::size_t end) {  // of the owner's slice
        for (std::size_t at = first; at < end; at += piece_length) {
            const std::size_t n = std::min(piece_length, end - at);
            kernels::encode_sum(n, slices_.begin(owner) + at, updates, global, range, words.data());
            laps.add_to(encoding);
            largest = std::max(largest, kernels::decode_mean(n, words.data(), unit, weight_sum, mean_of(owner) + at));
            laps.add_to(decoding);
        }
    };
    for (int i = 0; i < slices_.ranks(); ++i) {
        const int owner = (rank_ + i) % slices_.ranks();
        const std::atomic_ref taken(taken_of(owner));
        for (std::size_t first = 0; (first = taken.fetch_add(turn_length)) < slices_.size(owner);) {
            take_turn(owner, first, std::min(first + turn_length, slices_.size(owner)));
        }
    }
    clock.add("encode", encoding);
    clock.add("decode", decoding);
    return largest;
}

}  // namespace silosum
