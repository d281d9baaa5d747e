// What the compiler calls before each load and store of code built with -fsanitize=thread. The sanitizer's own library is not linked: it
// knows threads and locks, the access checker knows blocks, warps and barriers.
#include <cstddef>
#include <cstdint>

#include "checker.hpp"
#include "symbols.hpp"

namespace {

using emulator::checker::Kind;

void access(const void* address, std::size_t bytes, Kind kind, const void* return_address) {
    static const std::uintptr_t load_address = emulator::load_address();
    emulator::checker::access(address, bytes, kind,
                              static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(return_address) - load_address));
}

}  // namespace

#define SILOSUM_HOOK(name, bytes, kind)                            \
    void name(void* address) {                                     \
        access(address, bytes, kind, __builtin_return_address(0)); \
    }
#define SILOSUM_HOOKS(bytes)                                        \
    SILOSUM_HOOK(__tsan_read##bytes, bytes, Kind::read)             \
    SILOSUM_HOOK(__tsan_write##bytes, bytes, Kind::write)           \
    SILOSUM_HOOK(__tsan_unaligned_read##bytes, bytes, Kind::read)   \
    SILOSUM_HOOK(__tsan_unaligned_write##bytes, bytes, Kind::write) \
    SILOSUM_HOOK(__tsan_volatile_read##bytes, bytes, Kind::read)    \
    SILOSUM_HOOK(__tsan_volatile_write##bytes, bytes, Kind::write)

// Host code beside the kernels has atomics, in std::shared_ptr for example.
#define SILOSUM_ATOMIC_UPDATE(bits, T, name)                            \
    T __tsan_atomic##bits##_##name(volatile T* address, T value, int) { \
        return __atomic_##name(address, value, __ATOMIC_SEQ_CST);       \
    }
#define SILOSUM_ATOMIC_EXCHANGE(bits, T, name)                                                                           \
    int __tsan_atomic##bits##_##name(volatile T* address, T* expected, T value, int, int) {                              \
        return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0; \
    }
#define SILOSUM_ATOMICS(bits, T)                                          \
    T __tsan_atomic##bits##_load(const volatile T* address, int) {        \
        return __atomic_load_n(address, __ATOMIC_SEQ_CST);                \
    }                                                                     \
    void __tsan_atomic##bits##_store(volatile T* address, T value, int) { \
        __atomic_store_n(address, value, __ATOMIC_SEQ_CST);               \
    }                                                                     \
    T __tsan_atomic##bits##_exchange(volatile T* address, T value, int) { \
        return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);     \
    }                                                                     \
    SILOSUM_ATOMIC_UPDATE(bits, T, fetch_add)                             \
    SILOSUM_ATOMIC_UPDATE(bits, T, fetch_sub)                             \
    SILOSUM_ATOMIC_UPDATE(bits, T, fetch_and)                             \
    SILOSUM_ATOMIC_UPDATE(bits, T, fetch_or)                              \
    SILOSUM_ATOMIC_UPDATE(bits, T, fetch_xor)                             \
    SILOSUM_ATOMIC_EXCHANGE(bits, T, compare_exchange_strong)             \
    SILOSUM_ATOMIC_EXCHANGE(bits, T, compare_exchange_weak)

extern "C" {

SILOSUM_HOOKS(1)
SILOSUM_HOOKS(2)
SILOSUM_HOOKS(4)
SILOSUM_HOOKS(8)
SILOSUM_HOOKS(16)

void __tsan_read_range(void* address, std::size_t bytes) {
    access(address, bytes, Kind::read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, std::size_t bytes) {
    access(address, bytes, Kind::write, __builtin_return_address(0));
}

SILOSUM_ATOMICS(8, std::uint8_t)
SILOSUM_ATOMICS(16, std::uint16_t)
SILOSUM_ATOMICS(32, std::uint32_t)
SILOSUM_ATOMICS(64, std::uint64_t)
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

}  // extern "C"
