#include "exchange/shared_updates.hpp"

#include <algorithm>

namespace silosum {

namespace {

constexpr std::size_t line = 64 / sizeof(float);  // vectors of ranks begin at a cache line
constexpr std::size_t piece_length = 8192;        // words of a piece stay in the caches of a core

[[nodiscard]] std::size_t room_for(std::size_t parameters) {
    return (parameters + line - 1) / line * line;
}

template <class Word>
double mean_in_pieces(std::span<const EncodedUpdate> updates, std::size_t first, double unit, double weight_sum, std::span<double> mean,
                      std::span<kernels::EncodeCount> counts, PhaseClock& clock) {
    Buffer<Word> words(std::min(piece_length, mean.size()));
    PhaseTime encoding;
    PhaseTime decoding;
    double largest = 0;
    Laps laps;
    for (std::size_t begin = 0; begin < mean.size(); begin += piece_length) {
        const std::size_t n = std::min(piece_length, mean.size() - begin);
        if (updates.empty()) std::fill_n(words.data(), n, Word{0});
        for (std::size_t u = 0; u < updates.size(); ++u) {
            const EncodedUpdate& update = updates[u];
            const auto count = kernels::encode(n, update.local.data() + first + begin, update.global.data() + first + begin,
                                               update.settings, u == 0 ? kernels::Store::write : kernels::Store::add, words.data());
            counts[u].clipped += count.clipped;
            counts[u].not_finite += count.not_finite;
        }
        laps.add_to(encoding);
        largest = std::max(largest, kernels::decode_mean(n, words.data(), unit, weight_sum, mean.data() + begin));
        laps.add_to(decoding);
    }
    clock.add("encode", encoding);
    clock.add("decode", decoding);
    return largest;
}

}  // namespace

SharedUpdates::SharedUpdates(const Communicator& communicator, const Nodes& nodes, std::size_t parameters)
    : rank_(communicator.rank()),
      parameters_(parameters),
      memory_(shared_memory(communicator, nodes, static_cast<std::size_t>(communicator.size()) * room_for(parameters) * sizeof(float))) {}

float* SharedUpdates::of(int rank) const {
    return reinterpret_cast<float*>(memory_.get()) + static_cast<std::size_t>(rank) * room_for(parameters_);
}

Buffer<float> SharedUpdates::own() const {
    return {memory_, of(rank_), parameters_};
}

double mean_of_updates(std::uint64_t bits, std::span<const EncodedUpdate> updates, std::size_t first, double unit, double weight_sum,
                       std::span<double> mean, std::span<kernels::EncodeCount> counts, PhaseClock& clock) {
    if (bits == 32) return mean_in_pieces<std::uint32_t>(updates, first, unit, weight_sum, mean, counts, clock);
    return mean_in_pieces<std::uint64_t>(updates, first, unit, weight_sum, mean, counts, clock);
}

}  // namespace silosum
