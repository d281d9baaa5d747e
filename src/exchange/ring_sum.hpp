// The sum of encoded updates over all ranks, in a ring of 32 or 64 bits: encode, reduce-scatter, decode, chunk by chunk.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/phase_clock.hpp"
#include "comm/mpi.hpp"
#include "comm/nodes.hpp"
#include "comm/slices.hpp"
#include "kernels/fixed_point.hpp"
#include "privacy/refusal.hpp"

namespace silosum {

/// An update and how it is encoded.
struct EncodedUpdate {
    std::span<const float> local;
    std::span<const float> global;
    kernels::EncodeSettings settings{};
};

struct RingResult {
    kernels::EncodeCount count;  // of the streamed update
    double largest = 0;          // largest magnitude in this rank's slice of the mean
    std::size_t bytes_sent = 0;
};

class SecureAttempt;
class SumTags;
class UpdateTag;
class Unmasking;

/// Updates and means lie where the ring works: in the memory of the host, or of this rank's GPU.
class RingSum {
public:
    virtual ~RingSum() = default;

    /// Forgets what was added.
    virtual void clear() = 0;
    /// Largest |local - global| of an update, as far as slices cover it; NaN or Inf when any difference is not finite.
    [[nodiscard]] virtual double largest_difference(const EncodedUpdate& update) = 0;
    /// Adds a whole update, as far as slices cover it, to this rank's words: for ranks that host several silos of the round.
    [[nodiscard]] virtual kernels::EncodeCount add(const EncodedUpdate& update) = 0;
    /// Collective. mean = signed sum of all words * unit / weight_sum on this rank's slice. gives[r]: whether rank r added words, or
    /// streams an update that is encoded while it is sent. A streamed update that is not finite goes on as zeros; the result tells.
    /// Adds the phases encode, decode and wire to the clock.
    virtual RingResult reduce(const std::vector<bool>& gives, const std::optional<EncodedUpdate>& streamed, double unit, double weight_sum,
                              std::span<double> mean, PhaseClock& clock) = 0;

    /// Collective, for rings made for masks. The sum of all words stays in `masked`, this rank's slice of the mean to be, hidden under
    /// masks. Every chunk travels with check words, of which each silo in the sum gives 1, at the places of the same stream that follow
    /// those of all coordinates. tag: where given, sees the streamed update. Adds the phases encode, tag, mask and wire.
    virtual RingResult reduce_masked(SecureAttempt& attempt, const std::optional<EncodedUpdate>& streamed, UpdateTag* tag,
                                     std::span<double> masked, PhaseClock& clock) = 0;
    /// Adds the tags of what reduce_masked() left in `masked`. Local.
    virtual void tag_sums(std::span<const double> masked, SumTags& tags) const = 0;
    /// Takes the masks off and decodes in place, as reduce() does. Local. Throws Refused where check words do not count `members` silos.
    /// Adds the phases unmask and decode.
    virtual RingResult unmask(Unmasking& unmasking, std::uint64_t members, double unit, double weight_sum, std::span<double> mean,
                              PhaseClock& clock) = 0;
};

/// Number and words of the masked vector for so many coordinates: as many again for check words.
inline constexpr std::uint32_t payload_vector = 1;
[[nodiscard]] std::uint64_t payload_words(std::size_t coordinates);
/// The check words of a chunk that begins at this coordinate are those of the same stream behind all coordinates, as far behind.
[[nodiscard]] std::uint64_t first_check_word(std::size_t coordinates, std::size_t begin);
inline constexpr std::size_t check_words = 16;  // the fewest that begin at a multiple of what key streams want; 512 bits or more
/// Throws Refused where the check words of a chunk, summed and without masks, do not count the members.
template <class Word>
void expect_checks(std::span<const Word> words, std::size_t begin, std::uint64_t members) {
    const bool is_right = std::all_of(words.begin(), words.end(), [&](Word word) { return word == static_cast<Word>(members); });
    unless_refused(is_right, Refusal::wrong_sum,
                   "the check words of coordinates from {} on do not count {} silos: somebody has given other words or masks", begin,
                   members);
}

/// Collective. slices: of the communicator's ranks; they may cover a part of the vector only. bits: 32 or 64. step_bytes: what is sent to
/// all others in one step. Buffers are made here, once. The communicator must outlive it.
[[nodiscard]] std::unique_ptr<RingSum> make_ring_sum(std::uint64_t bits, const Communicator& communicator, const Nodes& nodes,
                                                     const Slices& slices, std::size_t step_bytes, bool for_masks);

}  // namespace silosum
