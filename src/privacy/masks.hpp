// The masks of silos: a stream for itself, and one for each neighbour, that the neighbour takes off again.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "base/fetched_ahead.hpp"
#include "kernels/key_stream.hpp"
#include "kernels/masked_words.hpp"
#include "privacy/secure_session.hpp"

namespace silosum {

/// Keys of streams for kernels::MaskBank, wiped when they go.
struct MaskKeys {
    kernels::Cipher cipher = kernels::Cipher::aes128_ctr;
    std::vector<kernels::MaskKey> keys;

    MaskKeys() = default;
    ~MaskKeys();
    MaskKeys(const MaskKeys&) = delete;
    MaskKeys& operator=(const MaskKeys&) = delete;
};

/// Streams by vector, added or taken together. Pieces of words go through all streams while they are in the first-level cache.
class MaskStreams {
public:
    /// key: as of KeyStream.
    void add(std::uint32_t vector, kernels::Cipher cipher, crypto::View key, kernels::Sign sign);
    [[nodiscard]] bool has(std::uint32_t vector) const { return streams_.contains(vector); }
    /// words: those of the vector from `first` on, a multiple of 16. next: what is asked for meanwhile.
    template <class Word>
    void apply(std::uint32_t vector, std::uint64_t first, std::span<Word> words, SoonRead next = {});

    /// Adds the keys of a vector's streams, for words in the memory of a GPU.
    void copy_keys(std::uint32_t vector, MaskKeys& to) const;
    /// What makes the same streams of a vector elsewhere: as secret as the masks. To be wiped.
    [[nodiscard]] crypto::Bytes keys_of(std::uint32_t vector) const;
    [[nodiscard]] static constexpr std::size_t size_of_keys(std::size_t streams) { return streams * (1 + crypto::Secret<40>::size()); }
    /// Adds streams of keys_of(). Throws Refused(bad_message) where it is none.
    void add_keys(std::uint32_t vector, kernels::Cipher cipher, crypto::View keys);

private:
    struct Stream {
        kernels::KeyStream stream;
        kernels::Sign sign = kernels::Sign::plus;
        kernels::Cipher cipher = kernels::Cipher::aes128_ctr;
        crypto::Secret<40> key;
    };
    std::map<std::uint32_t, std::vector<Stream>> streams_;
};

/// Adds the mask that a silo gives itself, under its secret b, for all vectors of the session.
void add_own_mask(MaskStreams& streams, const SecureSession& session, std::uint32_t silo, const crypto::Secret<32>& secret,
                  kernels::Sign sign);
/// Adds the masks between two silos as `silo` has them on its words: the lower number adds the stream, the higher one takes it.
/// masking_key: the secret key of one of the two. `sign` minus: turned round. Throws Refused(zero_secret).
void add_pair_mask(MaskStreams& streams, const SecureSession& session, std::uint32_t silo, std::uint32_t neighbour,
                   const crypto::Secret<32>& masking_key, const crypto::Bytes32& other_key, kernels::Sign sign);

}  // namespace silosum
