#include "exchange/device_ring_sum.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/buffer.hpp"
#include "comm/agreement.hpp"
#include "exchange/secure_attempt.hpp"
#include "kernels/masked_words.hpp"
#include "privacy/update_tag.hpp"

namespace silosum {

namespace {

template <class Word>
class DeviceRingOf final : public RingSum {
public:
    DeviceRingOf(const Communicator& communicator, GpuRanks& gpus, const Slices& slices, std::size_t step_bytes, bool for_masks)
        : communicator_(communicator),
          gpus_(gpus),
          slices_(slices),
          chunks_(slices, step_bytes, sizeof(Word)),
          length_(slices.last() - slices.first()),
          extra_(for_masks ? check_words : 0),
          making_(gpus.making()),
          carrying_(gpus.carrying()) {
        const auto ranks = static_cast<std::size_t>(communicator.size());
        succeed_on_all(communicator, [&] {
            for (auto& slot : slots_) {
                slot = std::make_unique<Slot>();
                slot->out = making_.allocate<Word>(ranks * place());
                slot->in = making_.allocate<Word>(place());
            }
            sums_ = making_.allocate<Word>(own_size());
            checks_ = making_.allocate<Word>(chunks_.steps() * extra_);
            ones_ = making_.allocate<Word>(extra_);
            largest_ = making_.allocate<double>(1);
            count_ = making_.allocate<kernels::EncodeCount>(1);
            making_.wait();
        });
    }
    // Memory is freed once making_ is done with it; what is carried must be done before.
    ~DeviceRingOf() override { gpus_.settle(); }
    DeviceRingOf(const DeviceRingOf&) = delete;
    DeviceRingOf& operator=(const DeviceRingOf&) = delete;

    void clear() override { has_words_ = false; }

    [[nodiscard]] double largest_difference(const EncodedUpdate& update) override {
        const std::size_t first = slices_.first();
        kernels::largest_difference(length_, update.local.data() + first, update.global.data() + first, largest_.data(), making_.cuda());
        return on_host(largest_);
    }

    [[nodiscard]] kernels::EncodeCount add(const EncodedUpdate& update) override {
        if (words_.size() != length_) words_ = making_.allocate<Word>(length_);
        begin_count();
        encode(update, slices_.first(), length_, has_words_ ? kernels::Store::add : kernels::Store::write, words_.data());
        has_words_ = true;
        return on_host(count_);
    }

    RingResult reduce(const std::vector<bool>& /*gives*/, const std::optional<EncodedUpdate>& streamed, double unit, double weight_sum,
                      std::span<double> mean, PhaseClock& clock) override {
        RingResult result;
        clock.measure("wire", [&] {
            begin_count();
            result.bytes_sent = carry([&](std::size_t begin, std::size_t n, Word* words) {
                if (!streamed) return put_words(begin, n, words);
                encode(*streamed, begin, n, kernels::Store::write, words);
            });
            result.count = on_host(count_);
        });
        decode(unit, weight_sum, mean, result, clock);
        return result;
    }

    RingResult reduce_masked(SecureAttempt& attempt, const std::optional<EncodedUpdate>& streamed, UpdateTag* tag,
                             std::span<double> /*masked*/, PhaseClock& clock) override {
        RingResult result;
        clock.measure("wire", [&] {
            const auto members = static_cast<Word>(attempt.hosted_members());
            const auto masks = bank_of(attempt, members > 0);
            begin_count();
            const std::array<Word, check_words> ones = filled_with(members);
            making_.upload(std::span<const Word>(ones), ones_.span());
            result.bytes_sent = carry([&](std::size_t begin, std::size_t n, Word* words) {
                if (members == 0) return making_.fill_with_zeros(std::span(words, n + check_words));
                attempt.claim(payload_vector, 8 * sizeof(Word), begin, n);
                attempt.claim(payload_vector, 8 * sizeof(Word), first_check(begin), check_words);
                if (streamed) {
                    masks->encode_hidden(begin, n, streamed->local.data() + begin, streamed->global.data() + begin, streamed->settings,
                                         words, count_.data());
                } else {
                    put_words(begin, n, words);
                    masks->hide(begin, n, words);
                }
                making_.copy(std::span<const Word>(ones_.span()), std::span(words + n, check_words));
                masks->hide(first_check(begin), check_words, words + n);
                if (streamed && tag != nullptr) tag->see(begin, n);
            });
            result.count = on_host(count_);
        });
        return result;
    }

    void tag_sums(std::span<const double> /*masked*/, SumTags& /*tags*/) const override {
        throw RuntimeError("exchange.integrity = tags is not to be had with exchange.transport = nccl");
    }

    RingResult unmask(Unmasking& unmasking, std::uint64_t members, double unit, double weight_sum, std::span<double> mean,
                      PhaseClock& clock) override {
        RingResult result;
        clock.measure("unmask", [&] {
            MaskKeys keys;
            unmasking.copy_mask_keys(payload_vector, keys);
            const kernels::MaskBank masks(keys.cipher, keys.keys, making_.cuda());
            const int me = communicator_.rank();
            for (std::size_t step = 0; step < chunks_.steps_of(me); ++step) {
                masks.hide(first_check(chunks_.first(me, step)), check_words, checks_.data() + step * check_words);
            }
            if (own_size() > 0) masks.hide(slices_.begin(me), own_size(), sums_.data());
            std::vector<Word> checks(checks_.size());
            making_.download(std::span<const Word>(checks_.span()), std::span(checks));
            making_.wait();
            for (std::size_t step = 0; step < chunks_.steps_of(me); ++step) {
                expect_checks(std::span<const Word>(checks).subspan(step * check_words, check_words), chunks_.first(me, step), members);
            }
        });
        decode(unit, weight_sum, mean, result, clock);
        return result;
    }

private:
    static constexpr std::size_t depth = 2;
    struct Slot {
        Buffer<Word> out;  // (owner, chunk)
        Buffer<Word> in;
        CudaMark made;
        CudaMark carried;
    };

    [[nodiscard]] std::size_t place() const { return chunks_.size() + extra_; }
    [[nodiscard]] std::size_t own_size() const { return slices_.size(communicator_.rank()); }
    [[nodiscard]] std::uint64_t first_check(std::size_t begin) const { return first_check_word(slices_.coordinates(), begin); }
    [[nodiscard]] static std::array<Word, check_words> filled_with(Word word) {
        std::array<Word, check_words> words{};
        words.fill(word);
        return words;
    }

    void begin_count() { making_.fill_with_zeros(count_.span()); }
    // A single value, once the GPU has it.
    template <class T>
    [[nodiscard]] T on_host(const Buffer<T>& value) const {
        T host{};
        making_.download(value.span(), std::span(&host, 1));
        making_.wait();
        return host;
    }

    void encode(const EncodedUpdate& update, std::size_t begin, std::size_t n, kernels::Store store, Word* words) {
        kernels::encode(n, update.local.data() + begin, update.global.data() + begin, update.settings, store, words, count_.data(),
                        making_.cuda());
    }

    void put_words(std::size_t begin, std::size_t n, Word* words) {
        if (!has_words_) return making_.fill_with_zeros(std::span(words, n));
        making_.copy(std::span<const Word>(words_.data() + (begin - slices_.first()), n), std::span(words, n));
    }

    // Nothing leaves that no mask hides.
    [[nodiscard]] std::unique_ptr<kernels::MaskBank> bank_of(const SecureAttempt& attempt, bool has_members) const {
        if (!has_members) return nullptr;
        MaskKeys keys;
        attempt.copy_mask_keys(payload_vector, keys);
        require<RuntimeError>(!keys.keys.empty(), "there are no masks for the words of this rank");
        return std::make_unique<kernels::MaskBank>(keys.cipher, keys.keys, making_.cuda());
    }

    // make(begin, n, words) puts n words, and the extra ones behind, into making_. Returns the bytes that others have from this rank.
    template <class Make>
    std::size_t carry(Make&& make) {
        try {
            return carry_all(std::forward<Make>(make));
        } catch (...) {
            gpus_.peers().give_up();  // what was given waits for other ranks, and everything here for that
            throw;
        }
    }

    template <class Make>
    std::size_t carry_all(Make&& make) {
        std::size_t sent = 0;
        for (std::size_t step = 0; step < chunks_.steps(); ++step) {
            Slot& slot = *slots_[step % depth];
            // Its words of two steps ago have left. The host waits: so the queues stay short, and each step has a deadline.
            if (step >= depth) gpus_.peers().wait(slot.carried, "the words of other ranks");
            for (int owner = 0; owner < communicator_.size(); ++owner) {
                const std::size_t n = chunks_.count(owner, step), used = n == 0 ? 0 : n + extra_;
                Word* const words = slot.out.data() + static_cast<std::size_t>(owner) * place();
                if (n > 0) make(chunks_.first(owner, step), n, words);
                making_.fill_with_zeros(std::span(words + used, place() - used));
                if (owner != communicator_.rank()) sent += used * sizeof(Word);
            }
            slot.made.set(making_.cuda());
            slot.made.hold(carrying_.cuda());
            gpus_.peers().reduce_scatter_sum(std::span<const Word>(slot.out.span()), slot.in.span());
            take(slot, step);
            slot.carried.set(carrying_.cuda());
        }
        gpus_.peers().wait("the words of other ranks");
        return sent;
    }

    void take(const Slot& slot, std::size_t step) {
        const int me = communicator_.rank();
        const std::size_t n = chunks_.count(me, step);
        if (n == 0) return;
        const std::span<const Word> in = slot.in.span();
        carrying_.copy(in.first(n), sums_.span().subspan(chunks_.first(me, step) - slices_.begin(me), n));
        if (extra_ > 0) carrying_.copy(in.subspan(n, extra_), checks_.span().subspan(step * extra_, extra_));
    }

    void decode(double unit, double weight_sum, std::span<double> mean, RingResult& result, PhaseClock& clock) {
        clock.measure("decode", [&] {
            kernels::decode_mean(own_size(), sums_.data(), unit, weight_sum, mean.data(), largest_.data(), making_.cuda());
            result.largest = on_host(largest_);
        });
    }

    const Communicator& communicator_;
    GpuRanks& gpus_;
    Slices slices_;
    Chunks chunks_;
    std::size_t length_;  // coordinates of all slices
    std::size_t extra_;   // words behind those of a chunk
    Stream making_;
    Stream carrying_;
    std::array<std::unique_ptr<Slot>, depth> slots_;
    Buffer<Word> sums_;    // of this rank's slice
    Buffer<Word> checks_;  // summed, by step
    Buffer<Word> ones_;    // check words before masks
    Buffer<double> largest_;
    Buffer<kernels::EncodeCount> count_;
    Buffer<Word> words_;  // only on ranks that host several silos of a round
    bool has_words_ = false;
};

}  // namespace

std::unique_ptr<RingSum> make_device_ring_sum(std::uint64_t bits, const Communicator& peers, GpuRanks& gpus, const Slices& slices,
                                              std::size_t step_bytes, bool for_masks) {
    if (bits == 32) return std::make_unique<DeviceRingOf<std::uint32_t>>(peers, gpus, slices, step_bytes, for_masks);
    return std::make_unique<DeviceRingOf<std::uint64_t>>(peers, gpus, slices, step_bytes, for_masks);
}

}  // namespace silosum
