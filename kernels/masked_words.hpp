// Masks on a GPU: words of an update, or words that are there, hidden under any number of key streams in one pass over the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/cuda_stream.hpp"
#include "kernels/fixed_point.hpp"
#include "kernels/key_stream.hpp"

namespace silosum::kernels {

/// A stream's key with its prefix (stream_key_bytes of the cipher), and whether it is added or taken.
struct MaskKey {
    std::vector<std::byte> key;
    Sign sign = Sign::plus;
};

/// Key streams as key_stream.hpp defines them, expanded in the memory of a GPU and wiped with the bank. The work takes the same time
/// whatever the keys are: neither branches nor addresses depend on them.
class MaskBank {
public:
    /// The caller wipes the keys. Throws RuntimeError where a key has another length than the cipher's.
    SILOSUM_CUDA_ONLY MaskBank(Cipher cipher, std::span<const MaskKey> keys, const CudaStream& stream);
    SILOSUM_CUDA_ONLY ~MaskBank();
    MaskBank(const MaskBank&) = delete;
    MaskBank& operator=(const MaskBank&) = delete;

    /// words[i] += sum of the signed words first_word + i of all streams, wrapping. first_word is a multiple of KeyStream::alignment bytes,
    /// the end within KeyStream::most_bytes: RuntimeError otherwise. Everything is of the stream that the bank was made on.
    SILOSUM_CUDA_ONLY void hide(std::uint64_t first_word, std::size_t n, std::uint32_t* words) const;
    SILOSUM_CUDA_ONLY void hide(std::uint64_t first_word, std::size_t n, std::uint64_t* words) const;
    /// words[i] = encoding of local[i] - global[i] (see encode() in fixed_point.hpp), hidden at once: plain words never reach the memory.
    /// *count += what the encoding counts.
    SILOSUM_CUDA_ONLY void encode_hidden(std::uint64_t first_word, std::size_t n, const float* local, const float* global,
                                         const EncodeSettings& settings, std::uint32_t* words, EncodeCount* count) const;
    SILOSUM_CUDA_ONLY void encode_hidden(std::uint64_t first_word, std::size_t n, const float* local, const float* global,
                                         const EncodeSettings& settings, std::uint64_t* words, EncodeCount* count) const;

private:
    template <class Word, class Source>
    void run(std::uint64_t first_word, std::size_t n, const Source& source, Word* words) const;

    Cipher cipher_;
    std::size_t streams_;
    std::size_t bytes_;
    CudaStream stream_;
    std::shared_ptr<void> memory_;
};

}  // namespace silosum::kernels
