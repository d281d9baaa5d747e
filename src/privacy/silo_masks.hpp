// The masks of a silo on the words that one rank sends: no word gets them twice, as the difference of the two would be plain.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "privacy/masks.hpp"

namespace silosum {

/// Words [first, second) of a vector, ascending.
using WordRanges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

class SiloMasks {
public:
    /// vectors: those of the terms. name: of the silo, for messages.
    SiloMasks(std::vector<MaskedVector> vectors, std::string name) : vectors_(std::move(vectors)), name_(std::move(name)) {}

    /// What apply() is made of.
    [[nodiscard]] MaskStreams& streams() { return streams_; }
    [[nodiscard]] const MaskStreams& streams() const { return streams_; }
    /// Of this vector only these words may be masked here: others of the silo's ranks mask the rest, with the same keys. Before any is.
    void keep_to(std::uint32_t vector, WordRanges ranges);

    /// words: of the vector from `first` on, a multiple of 16. Throws Refused(range_given_twice) for words that are not in the terms, not
    /// to be masked here, or masked already. next: as of MaskStreams::apply().
    template <class Word>
    void apply(std::uint32_t vector, std::uint64_t first, std::span<Word> words, SoonRead next = {}) {
        claim(vector, 8 * sizeof(Word), first, words.size());
        streams_.apply(vector, first, words, next);
    }
    /// The same for words that are masked with copies of the keys.
    void claim(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size);

private:
    [[nodiscard]] bool is_of_terms(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size) const;
    [[nodiscard]] bool is_kept(std::uint32_t vector, std::uint64_t first, std::uint64_t size) const;
    void remember(std::uint32_t vector, std::uint64_t first, std::uint64_t size);

    std::vector<MaskedVector> vectors_;
    std::string name_;
    MaskStreams streams_;
    std::map<std::uint32_t, WordRanges> only_;
    std::map<std::uint32_t, std::map<std::uint64_t, std::uint64_t>> masked_;  // by vector: begin -> end
};

}  // namespace silosum
