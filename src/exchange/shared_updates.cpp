#include "exchange/shared_updates.hpp"

#include <algorithm>
#include <atomic>

namespace silosum {

namespace {

constexpr std::size_t line = 64;                // bytes; vectors of ranks begin at a cache line
constexpr std::size_t piece_length = 2048;      // words of a piece stay in the caches of a core
constexpr std::size_t turn_length = 1UL << 14;  // coordinates that a rank takes on at a time

[[nodiscard]] std::size_t padded(std::size_t bytes) {
    return (bytes + line - 1) / line * line;
}

}  // namespace

SharedUpdates::SharedUpdates(const Communicator& communicator, const Nodes& nodes, const Slices& slices)
    : rank_(communicator.rank()), slices_(slices) {
    const std::size_t each = padded(slices.coordinates() * sizeof(float)) + line;
    memory_ = shared_memory(communicator, nodes,
                            static_cast<std::size_t>(communicator.size()) * each + padded(slices.coordinates() * sizeof(double)));
}

float* SharedUpdates::of(int rank) const {
    return reinterpret_cast<float*>(memory_.get() + static_cast<std::size_t>(rank) * padded(slices_.coordinates() * sizeof(float)));
}
double* SharedUpdates::mean() const {
    return reinterpret_cast<double*>(of(slices_.ranks()));
}
std::uint64_t& SharedUpdates::taken_of(int rank) const {
    std::byte* const first = reinterpret_cast<std::byte*>(mean()) + padded(slices_.coordinates() * sizeof(double));
    return *reinterpret_cast<std::uint64_t*>(first + static_cast<std::size_t>(rank) * line);
}

Buffer<float> SharedUpdates::own() const {
    return {memory_, of(rank_), slices_.coordinates()};
}
Buffer<double> SharedUpdates::own_mean() const {
    return {memory_, mean() + slices_.begin(rank_), slices_.size(rank_)};
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
    const auto take_turn = [&](std::size_t begin, std::size_t end) {
        for (std::size_t at = begin; at < end; at += piece_length) {
            const std::size_t n = std::min(piece_length, end - at);
            kernels::encode_sum(n, at, updates, global, range, words.data());
            laps.add_to(encoding);
            largest = std::max(largest, kernels::decode_mean(n, words.data(), unit, weight_sum, mean() + at));
            laps.add_to(decoding);
        }
    };
    for (int i = 0; i < slices_.ranks(); ++i) {
        const int owner = (rank_ + i) % slices_.ranks();
        const std::atomic_ref taken(taken_of(owner));
        for (std::size_t first = 0; (first = taken.fetch_add(turn_length)) < slices_.size(owner);) {
            const std::size_t begin = slices_.begin(owner) + first;
            take_turn(begin, std::min(begin + turn_length, slices_.end(owner)));
        }
    }
    clock.add("encode", encoding);
    clock.add("decode", decoding);
    return largest;
}

}  // namespace silosum
