// Atomic updates. Threads never run at the same time here, so a plain update will do; the checker is told that it is an atomic one.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include "where.hpp"

namespace emulator {

void atomic_access(const void* address, std::size_t bytes, Where where);

template <class T, class... Allowed>
concept OneOf = (std::same_as<T, Allowed> || ...);

// Not instrumented: the checker would take it for a plain read and a plain write.
template <class T, class Next>
__attribute__((noinline, no_sanitize("thread"))) T atomic_update(T* address, Where where, Next next) {
    atomic_access(address, sizeof(T), where);
    const T old = *address;
    *address = next(old);
    return old;
}

}  // namespace emulator

template <emulator::OneOf<int, unsigned, unsigned long long, float, double> T>
T atomicAdd(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T old) {
        if constexpr (std::is_same_v<T, int>)
            return static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(value));  // wraps, as the device does
        else
            return old + value;
    });
}
template <emulator::OneOf<int, unsigned> T>
T atomicSub(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where,
                                   [=](T old) { return static_cast<T>(static_cast<unsigned>(old) - static_cast<unsigned>(value)); });
}
template <emulator::OneOf<int, unsigned, long long, unsigned long long> T>
T atomicMax(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T old) { return std::max(old, value); });
}
template <emulator::OneOf<int, unsigned, long long, unsigned long long> T>
T atomicMin(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T old) { return std::min(old, value); });
}
template <emulator::OneOf<int, unsigned, unsigned long long> T>
T atomicAnd(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T old) { return old & value; });
}
template <emulator::OneOf<int, unsigned, unsigned long long> T>
T atomicOr(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T old) { return old | value; });
}
template <emulator::OneOf<int, unsigned, unsigned long long> T>
T atomicXor(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T old) { return old ^ value; });
}
template <emulator::OneOf<int, unsigned, unsigned long long, float> T>
T atomicExch(T* address, std::type_identity_t<T> value, emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T) { return value; });
}
template <emulator::OneOf<int, unsigned, unsigned long long> T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value,
            emulator::Where where = emulator::Where::current()) {
    return emulator::atomic_update(address, where, [=](T old) { return old == expected ? value : old; });
}

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
