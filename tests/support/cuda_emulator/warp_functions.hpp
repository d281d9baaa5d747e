// Barriers of a block, and what the lanes of a warp do together. Each takes the caller's place, so that errors can name it.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "where.hpp"

namespace emulator {

enum class WarpOp : std::uint8_t {
    sync,
    index,
    up,
    down,
    butterfly,
    ballot,
    any,
    all,
    match_any,
    add,
    min_unsigned,
    max_unsigned,
    min_signed,
    max_signed,
    bits_and,
    bits_or,
    bits_xor,
    multiply_add_tf32,
};

/// Waits for the block; returns for how many of its threads `predicate` is not 0.
int sync_threads(int predicate, Where where);

/// Waits for the lanes in `mask`, which call with the same operation, and returns the lane's result. Of `operand` (shuffles only) and
/// `width` the meaning is that of the shuffle.
std::uint64_t warp_exchange(WarpOp operation, unsigned mask, std::uint64_t value, unsigned operand, int width, Where where);

template <class T>
T exchange(WarpOp operation, unsigned mask, T value, unsigned operand, int width, Where where) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = warp_exchange(operation, mask, bits, operand, width, where);
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

/// The twin of mma.sync.m16n8k8 in TF32: c += a b, each lane with its fragments in the order of PTX. Of a and b only the bits of TF32
/// count; c is added up in ascending k, one rounding for each product (a GPU adds in an order of its own).
void multiply_add_tf32(float (&c)[4], const float (&a)[4], const float (&b)[2], Where where = Where::current());

}  // namespace emulator

inline void __syncthreads(emulator::Where where = emulator::Where::current()) {
    emulator::sync_threads(0, where);
}
inline int __syncthreads_count(int predicate, emulator::Where where = emulator::Where::current()) {
    return emulator::sync_threads(predicate, where);
}
inline int __syncthreads_or(int predicate, emulator::Where where = emulator::Where::current()) {
    return emulator::sync_threads(predicate, where) != 0;
}
inline int __syncthreads_and(int predicate, emulator::Where where = emulator::Where::current()) {
    return emulator::sync_threads(predicate == 0, where) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, emulator::Where where = emulator::Where::current()) {
    emulator::warp_exchange(emulator::WarpOp::sync, mask, 0, 0, 32, where);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::index, mask, value, static_cast<unsigned>(lane), width, where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::up, mask, value, delta, width, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::down, mask, value, delta, width, where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::butterfly, mask, value, static_cast<unsigned>(lane_mask), width, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::ballot, mask, unsigned{predicate != 0}, 0, 32, where);
}
inline int __any_sync(unsigned mask, int predicate, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::any, mask, int{predicate != 0}, 0, 32, where);
}
inline int __all_sync(unsigned mask, int predicate, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::all, mask, int{predicate != 0}, 0, 32, where);
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, emulator::Where where = emulator::Where::current()) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return static_cast<unsigned>(emulator::warp_exchange(emulator::WarpOp::match_any, mask, bits, 0, 32, where));
}

template <class T>
T __reduce_add_sync(unsigned mask, T value, emulator::Where where = emulator::Where::current()) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
    return emulator::exchange(emulator::WarpOp::add, mask, value, 0, 32, where);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, emulator::Where where = emulator::Where::current()) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
    using enum emulator::WarpOp;
    return emulator::exchange(std::is_signed_v<T> ? min_signed : min_unsigned, mask, value, 0, 32, where);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, emulator::Where where = emulator::Where::current()) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
    using enum emulator::WarpOp;
    return emulator::exchange(std::is_signed_v<T> ? max_signed : max_unsigned, mask, value, 0, 32, where);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::bits_and, mask, value, 0, 32, where);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::bits_or, mask, value, 0, 32, where);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value, emulator::Where where = emulator::Where::current()) {
    return emulator::exchange(emulator::WarpOp::bits_xor, mask, value, 0, 32, where);
}

/// What is active is up to the compiler of the device; a kernel that depends on it is wrong on some of them.
unsigned __activemask() = delete;
