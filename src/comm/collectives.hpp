// Collectives on spans, and small control data between ranks. Every function is collective over the communicator, waits with a
// deadline and cuts vectors that are too long for MPI's int counts. Results are the same on all ranks and in every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "comm/mpi.hpp"
#include "comm/slices.hpp"

namespace silosum {

void barrier(const Communicator& communicator);
/// The same for ranks that have long to wait, while others are timed on the same cores: they look fifty times a second.
void sleep_until_barrier(const Communicator& communicator);

void broadcast_bytes(const Communicator& communicator, std::span<std::byte> bytes, int root);
template <class T>
void broadcast(const Communicator& communicator, std::span<T> values, int root) {
    static_assert(std::is_trivially_copyable_v<T>);
    broadcast_bytes(communicator, std::as_writable_bytes(values), root);
}

/// Sums wrap around. Only unsigned 32 and 64 bits: Open MPI's vector code adds 8 and 16 bits with saturation, and float sums depend
/// on the order.
void all_reduce_sum(const Communicator& communicator, std::span<std::uint32_t> values);
void all_reduce_sum(const Communicator& communicator, std::span<std::uint64_t> values);
/// Values must not be NaN.
void all_reduce_max(const Communicator& communicator, std::span<double> values);
void all_reduce_max(const Communicator& communicator, std::span<std::uint64_t> values);
void all_reduce_min(const Communicator& communicator, std::span<double> values);
void all_reduce_min(const Communicator& communicator, std::span<std::uint64_t> values);

/// Every rank has filled its own slice of `whole`; afterwards all slices are everywhere. Returns the bytes this rank sent. MPI works on
/// `whole` itself: after a wait that was given up it must not be freed.
std::size_t all_gather_bytes(const Communicator& communicator, const Slices& slices, std::size_t bytes_each, std::byte* whole);
template <class T>
std::size_t all_gather(const Communicator& communicator, const Slices& slices, std::span<T> whole) {
    static_assert(std::is_trivially_copyable_v<T>);
    return all_gather_bytes(communicator, slices, sizeof(T), std::as_writable_bytes(whole).data());
}

/// received[r] = what rank r gave, in order of rank; each rank gives the same number of values.
[[nodiscard]] std::vector<std::byte> all_gather_bytes(const Communicator& communicator, std::span<const std::byte> mine);
template <class T>
[[nodiscard]] std::vector<T> all_gather(const Communicator& communicator, const T& mine) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = all_gather_bytes(communicator, std::as_bytes(std::span<const T>(&mine, 1)));
    std::vector<T> all(bytes.size() / sizeof(T));
    std::memcpy(all.data(), bytes.data(), bytes.size());
    return all;
}

/// Text of any length; names, errors and JSON travel like this.
void broadcast_text(const Communicator& communicator, std::string& text, int root);
/// One text a rank on the root, nothing elsewhere.
[[nodiscard]] std::vector<std::string> gather_text(const Communicator& communicator, const std::string& text, int root);
[[nodiscard]] std::vector<std::string> all_gather_text(const Communicator& communicator, const std::string& text);
/// The same where every rank knows the lengths already, by rank.
[[nodiscard]] std::vector<std::string> all_gather_text(const Communicator& communicator, const std::string& text,
                                                       const std::vector<std::uint64_t>& sizes);

/// Throws RuntimeError unless this MPI library adds 32 and 64 bit integers with wrap-around.
void check_wrapping_sums(const Communicator& communicator);

}  // namespace silosum
