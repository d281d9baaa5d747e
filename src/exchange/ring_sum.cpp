#include "exchange/ring_sum.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <utility>

#include "base/buffer.hpp"
#include "comm/slice_pipeline.hpp"
#include "exchange/secure_attempt.hpp"
#include "privacy/update_tag.hpp"

namespace silosum {

namespace {

// How words that others read are written. Whether they should go past the caches depends on the processor, so the first sums try both
// ways in turn and the faster one stays. It changes no word.
class FasterStore {
public:
    explicit FasterStore(bool may_stream) : sums_(may_stream ? 0 : all_trials + 1) {}
    [[nodiscard]] kernels::Store now() const {
        if (sums_ > all_trials) return faster_;
        return sums_ % 2 == 0 ? kernels::Store::stream : kernels::Store::write;
    }
    void took(double seconds) {
        if (sums_ > all_trials) return;
        double& best = now() == kernels::Store::stream ? streaming_ : writing_;
        if (sums_ > 0) best = std::min(best, seconds);  // the first sum touches memory for the first time
        ++sums_;
        faster_ = streaming_ < writing_ ? kernels::Store::stream : kernels::Store::write;
    }

private:
    static constexpr int all_trials = 6;
    int sums_;
    double streaming_ = std::numeric_limits<double>::max();
    double writing_ = std::numeric_limits<double>::max();
    kernels::Store faster_ = kernels::Store::write;
};

template <class Word>
class RingOf : public RingSum {
public:
    RingOf(const Communicator& communicator, const Nodes& nodes, const Slices& slices, std::size_t step_bytes, bool for_masks)
        : communicator_(communicator),
          slices_(slices),
          length_(slices.last() - slices.first()),
          store_(nodes.count() < static_cast<std::size_t>(communicator.size()) && length_ * sizeof(Word) > cached_bytes),
          pipeline_(communicator, nodes, slices, step_bytes, for_masks ? check_words : 0),
          hidden_(for_masks ? hidden_length : 0) {}

    void clear() override { has_words_ = false; }

    [[nodiscard]] double largest_difference(const EncodedUpdate& update) override {
        const std::size_t first = slices_.first();
        return kernels::largest_difference(length_, update.local.data() + first, update.global.data() + first);
    }

    [[nodiscard]] kernels::EncodeCount add(const EncodedUpdate& update) override {
        if (words_.size() != length_) words_ = Buffer<Word>(length_);
        const std::size_t first = slices_.first();
        const auto count = kernels::encode(length_, update.local.data() + first, update.global.data() + first, update.settings,
                                           has_words_ ? kernels::Store::add : kernels::Store::write, words_.data());
        has_words_ = true;
        return count;
    }

    RingResult reduce(const std::vector<bool>& gives, const std::optional<EncodedUpdate>& streamed, double unit, double weight_sum,
                      std::span<double> mean, PhaseClock& clock) override {
        RingResult result;
        PhaseTime encoding;
        PhaseTime decoding;
        Laps whole;
        const std::size_t own = slices_.begin(communicator_.rank());
        const auto source = [&](std::size_t begin, std::size_t n, Word* scratch) -> const Word* {
            if (!streamed) return words_.data() + (begin - slices_.first());
            Laps laps;
            encode_chunk(*streamed, begin, n, scratch, result.count, store_.now());
            laps.add_to(encoding);
            return scratch;
        };
        const auto sink = [&](std::size_t begin, std::size_t n, std::span<const Word* const> parts) {
            Laps laps;
            const double largest = decode_chunk(n, parts, unit, weight_sum, mean.data() + (begin - own));
            result.largest = std::max(result.largest, largest);
            laps.add_to(decoding);
        };
        result.bytes_sent = pipeline_.run(gives, source, sink);
        add_phases(clock, whole, {{"encode", encoding}, {"decode", decoding}});
        return result;
    }

    RingResult reduce_masked(SecureAttempt& attempt, const std::optional<EncodedUpdate>& streamed, UpdateTag* tag, std::span<double> masked,
                             PhaseClock& clock) override {
        RingResult result;
        PhaseTime encoding;
        PhaseTime tagging;
        PhaseTime masking;
        Laps whole;
        const std::size_t own = slices_.begin(communicator_.rank());
        Word* const sums = words_in(masked);
        checks_.clear();
        const auto source = [&](std::size_t begin, std::size_t n, Word* scratch) -> const Word* {
            Laps laps;
            // Words are made and hidden in the caches, piece by piece, and only then leave for where others read them.
            for (std::size_t first = 0; first < n; first += hidden_length) {
                const std::size_t size = std::min(hidden_length, n - first);
                if (streamed) {
                    encode_chunk(*streamed, begin + first, size, hidden_.data(), result.count, kernels::Store::write);
                } else if (has_words_) {
                    std::copy_n(words_.data() + (begin - slices_.first()) + first, size, hidden_.data());
                } else {
                    std::fill_n(hidden_.data(), size, Word{0});
                }
                laps.add_to(encoding);
                if (streamed && tag != nullptr) {
                    tag->see(begin + first, size);
                    laps.add_to(tagging);
                }
                const std::size_t after = first + size;
                const SoonRead next = streamed ? soon(*streamed, begin + after, std::min(hidden_length, n - after)) : SoonRead();
                attempt.hide(payload_vector, begin + first, std::span<Word>(hidden_.data(), size), next);
                const Word* const from = hidden_.data();
                kernels::sum_words(size, 1, &from, scratch + first, store_.now());
                laps.add_to(masking);
            }
            std::fill_n(scratch + n, check_words, static_cast<Word>(attempt.hosted_members()));
            attempt.hide(payload_vector, first_check(begin), std::span<Word>(scratch + n, check_words));
            laps.add_to(masking);
            return scratch;
        };
        const auto sink = [&](std::size_t begin, std::size_t n, std::span<const Word* const> parts) {
            kernels::sum_words(n, parts.size(), parts.data(), sums + (begin - own));
            moved_.assign(parts.begin(), parts.end());
            for (auto& part : moved_) part += n;
            checks_.push_back({begin, {}});
            kernels::sum_words(check_words, moved_.size(), moved_.data(), checks_.back().second.data());
        };
        result.bytes_sent = pipeline_.run(attempt.gives(), source, sink);
        add_phases(clock, whole, {{"encode", encoding}, {"tag", tagging}, {"mask", masking}});
        return result;
    }

    void tag_sums(std::span<const double> masked, SumTags& tags) const override {
        for (const auto& [begin, words] : checks_) tags.add(payload_vector, first_check(begin), std::span<const Word>(words));
        tags.add(payload_vector, slices_.begin(communicator_.rank()), std::span<const Word>(words_in(masked), masked.size()));
    }

    RingResult unmask(Unmasking& unmasking, std::uint64_t members, double unit, double weight_sum, std::span<double> mean,
                      PhaseClock& clock) override {
        RingResult result;
        PhaseTime unmasking_time;
        PhaseTime decoding;
        const std::size_t own = slices_.begin(communicator_.rank());
        for (auto& [begin, words] : checks_) {
            unmasking.take_off(payload_vector, first_check(begin), std::span<Word>(words));
            expect_checks(std::span<const Word>(words), begin, members);
        }
        // Words lie at the end of the memory of the means that they become: piece by piece, no mean covers a word that is still needed.
        const Word* const sums = words_in(std::span<const double>(mean));
        Laps laps;
        for (std::size_t first = 0; first < mean.size(); first += hidden_length) {
            const std::size_t n = std::min(hidden_length, mean.size() - first);
            std::copy_n(sums + first, n, hidden_.data());
            const std::size_t after = first + n;
            const SoonRead next(std::as_bytes(std::span(sums + after, std::min(hidden_length, mean.size() - after))), {});
            unmasking.take_off(payload_vector, own + first, std::span<Word>(hidden_.data(), n), next);
            laps.add_to(unmasking_time);
            result.largest = std::max(result.largest, kernels::decode_mean(n, hidden_.data(), unit, weight_sum, mean.data() + first));
            laps.add_to(decoding);
        }
        clock.add("unmask", unmasking_time);
        clock.add("decode", decoding);
        return result;
    }

private:
    [[nodiscard]] std::uint64_t first_check(std::size_t begin) const { return first_check_word(slices_.coordinates(), begin); }
    [[nodiscard]] static Word* words_in(std::span<double> mean) {
        return reinterpret_cast<Word*>(mean.data()) + (sizeof(double) / sizeof(Word) - 1) * mean.size();
    }
    [[nodiscard]] static const Word* words_in(std::span<const double> mean) {
        return reinterpret_cast<const Word*>(mean.data()) + (sizeof(double) / sizeof(Word) - 1) * mean.size();
    }

    static constexpr std::size_t cached_bytes = std::size_t{16} << 20;  // words of a larger model do not stay in the caches
    static constexpr std::size_t hidden_length = 8192;                  // words that are hidden at a time, in the second-level cache
    static constexpr std::size_t piece_length = 2048;                   // words and means of a piece stay in the first-level cache

    // What is left of the whole is the wire's.
    void add_phases(PhaseClock& clock, Laps& whole, std::initializer_list<std::pair<const char*, PhaseTime>> phases) {
        PhaseTime wire;
        whole.add_to(wire);
        store_.took(wire.wall);  // of all phases together
        for (const auto& [phase, time] : phases) {
            clock.add(phase, time);
            wire += {-time.wall, -time.cpu};
        }
        clock.add("wire", {std::max(0.0, wire.wall), std::max(0.0, wire.cpu)});  // brief laps are not exact
    }

    [[nodiscard]] static SoonRead soon(const EncodedUpdate& update, std::size_t begin, std::size_t n) {
        return {std::as_bytes(update.local.subspan(begin, n)), std::as_bytes(update.global.subspan(begin, n))};
    }
    void encode_chunk(const EncodedUpdate& update, std::size_t begin, std::size_t n, Word* scratch, kernels::EncodeCount& total,
                      kernels::Store store) const {
        if (total.not_finite == 0) {
            const auto count =
                kernels::encode(n, update.local.data() + begin, update.global.data() + begin, update.settings, store, scratch);
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
    std::size_t length_;  // coordinates of all slices
    FasterStore store_;
    SlicePipeline<Word> pipeline_;
    Buffer<Word> words_;  // only on ranks that host several silos of a round
    bool has_words_ = false;
    Buffer<Word> sum_ = Buffer<Word>(piece_length);
    Buffer<Word> hidden_;  // in a ring for masks
    std::vector<const Word*> moved_;
    std::vector<std::pair<std::size_t, std::array<Word, check_words>>> checks_;  // by the beginning of a chunk, summed
};

}  // namespace

std::unique_ptr<RingSum> make_ring_sum(std::uint64_t bits, const Communicator& communicator, const Nodes& nodes, const Slices& slices,
                                       std::size_t step_bytes, bool for_masks) {
    if (bits == 32) return std::make_unique<RingOf<std::uint32_t>>(communicator, nodes, slices, step_bytes, for_masks);
    return std::make_unique<RingOf<std::uint64_t>>(communicator, nodes, slices, step_bytes, for_masks);
}

std::uint64_t payload_words(std::size_t coordinates) {
    return 2 * ((coordinates + Slices::block - 1) / Slices::block * Slices::block);
}

std::uint64_t first_check_word(std::size_t coordinates, std::size_t begin) {
    return payload_words(coordinates) / 2 + begin;
}

}  // namespace silosum
