#include "exchange/ring_sum.hpp"

#include <algorithm>
#include <cstdint>

#include "base/buffer.hpp"
#include "comm/slice_pipeline.hpp"

namespace silosum {

namespace {

template <class Word>
class RingOf : public RingSum {
public:
    RingOf(const Communicator& communicator, const Nodes& nodes, const Slices& slices, std::size_t step_bytes)
        : communicator_(communicator),
          slices_(slices),
          store_(nodes.count() < static_cast<std::size_t>(communicator.size()) && slices.coordinates() * sizeof(Word) > cached_bytes
                     ? kernels::Store::stream
                     : kernels::Store::write),
          pipeline_(communicator, nodes, slices, step_bytes) {}

    void clear() override { has_words_ = false; }

    [[nodiscard]] kernels::EncodeCount add(const EncodedUpdate& update) override {
        if (words_.size() != slices_.coordinates()) words_ = Buffer<Word>(slices_.coordinates());
        const auto count = kernels::encode(words_.size(), update.local.data(), update.global.data(), update.settings,
                                           has_words_ ? kernels::Store::add : kernels::Store::write, words_.data());
        has_words_ = true;
        return count;
    }

    RingResult reduce(const std::vector<bool>& gives, const std::optional<EncodedUpdate>& streamed, double unit, double weight_sum,
                      std::span<double> mean, PhaseClock& clock) override {
        RingResult result;
        PhaseTime encoding;
        PhaseTime decoding;
        const PhaseTime start{wall_seconds(), cpu_seconds()};
        const std::size_t own = slices_.begin(communicator_.rank());
        const auto source = [&](std::size_t begin, std::size_t n, Word* scratch) -> const Word* {
            if (!streamed) return words_.data() + begin;
            return timed(encoding, [&] {
                encode_chunk(*streamed, begin, n, scratch, result.count);
                return scratch;
            });
        };
        const auto sink = [&](std::size_t begin, std::size_t n, std::span<const Word* const> parts) {
            timed(decoding, [&] {
                const double largest = decode_chunk(n, parts, unit, weight_sum, mean.data() + (begin - own));
                result.largest = std::max(result.largest, largest);
                return 0;
            });
        };
        result.bytes_sent = pipeline_.run(gives, source, sink);
        clock.add("encode", encoding);
        clock.add("decode", decoding);
        clock.add("wire",
                  {wall_seconds() - start.wall - encoding.wall - decoding.wall, cpu_seconds() - start.cpu - encoding.cpu - decoding.cpu});
        return result;
    }

private:
    static constexpr std::size_t cached_bytes = std::size_t{16} << 20;  // words of a larger model do not stay in the caches
    static constexpr std::size_t piece_length = 2048;                   // words and means of a piece stay in the first-level cache

    template <class Action>
    static auto timed(PhaseTime& time, Action&& action) {
        const double wall = wall_seconds();
        const double cpu = cpu_seconds();
        const auto value = action();
        time += {wall_seconds() - wall, cpu_seconds() - cpu};
        return value;
    }

    void encode_chunk(const EncodedUpdate& update, std::size_t begin, std::size_t n, Word* scratch, kernels::EncodeCount& total) const {
        if (total.not_finite == 0) {
            const auto count =
                kernels::encode(n, update.local.data() + begin, update.global.data() + begin, update.settings, store_, scratch);
            total.clipped += count.clipped;
            total.not_finite += count.not_finite;
        }
        if (total.not_finite > 0) std::fill_n(scratch, n, Word{0});
    }

    double decode_chunk(std::size_t n, std::span<const Word* const> parts, double unit, double weight_sum, double* mean) {
        double largest = 0;
        moved_.resize(parts.size());
        for (std::size_t first = 0; first < n; first += piece_length) {
            const std::size_t count = std::min(piece_length, n - first);
            for (std::size_t p = 0; p < parts.size(); ++p) moved_[p] = parts[p] + first;
            kernels::sum_words(count, parts.size(), moved_.data(), sum_.data());
            largest = std::max(largest, kernels::decode_mean(count, sum_.data(), unit, weight_sum, mean + first));
        }
        return largest;
    }

    const Communicator& communicator_;
    Slices slices_;
    kernels::Store store_;  // of words that others read
    SlicePipeline<Word> pipeline_;
    Buffer<Word> words_;  // only on ranks that host several silos of a round
    bool has_words_ = false;
    Buffer<Word> sum_ = Buffer<Word>(piece_length);
    std::vector<const Word*> moved_;
};

}  // namespace

std::unique_ptr<RingSum> make_ring_sum(std::uint64_t bits, const Communicator& communicator, const Nodes& nodes, const Slices& slices,
                                       std::size_t step_bytes) {
    if (bits == 32) return std::make_unique<RingOf<std::uint32_t>>(communicator, nodes, slices, step_bytes);
    return std::make_unique<RingOf<std::uint64_t>>(communicator, nodes, slices, step_bytes);
}

}  // namespace silosum
