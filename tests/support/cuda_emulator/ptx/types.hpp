// PTX's types, and how their values lie in the 64 bits of a slot: signed ones extended by their sign, others by zeros.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace emulator::ptx {

enum class Type : std::uint8_t { pred, u8, s8, u16, s16, u32, s32, u64, s64, f32, f64 };

/// "s32" and the like; the untyped "b32" is u32. Empty for what is no type.
std::optional<Type> type_named(std::string_view name);

constexpr unsigned size_of(Type type) {
    switch (type) {
        case Type::pred:
        case Type::u8:
        case Type::s8:
            return 1;
        case Type::u16:
        case Type::s16:
            return 2;
        case Type::u32:
        case Type::s32:
        case Type::f32:
            return 4;
        default:
            return 8;
    }
}

constexpr bool is_float(Type type) {
    return type == Type::f32 || type == Type::f64;
}

template <class T>
T from_bits(std::uint64_t bits) {
    if constexpr (std::is_same_v<T, float>) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    } else if constexpr (std::is_same_v<T, double>) {
        return std::bit_cast<double>(bits);
    } else if constexpr (std::is_same_v<T, bool>) {
        return bits != 0;
    } else {
        return static_cast<T>(bits);
    }
}

template <class T>
std::uint64_t to_bits(T value) {
    if constexpr (std::is_same_v<T, float>) {
        return std::bit_cast<std::uint32_t>(value);
    } else if constexpr (std::is_same_v<T, double>) {
        return std::bit_cast<std::uint64_t>(value);
    } else {
        return static_cast<std::uint64_t>(value);
    }
}

/// make(T{}) for the C++ type of an integer type; make(bool{}) for predicates.
template <class Make>
auto with_integer(Type type, Make make) {
    switch (type) {
        case Type::pred:
            return make(bool{});
        case Type::u8:
            return make(std::uint8_t{});
        case Type::s8:
            return make(std::int8_t{});
        case Type::u16:
            return make(std::uint16_t{});
        case Type::s16:
            return make(std::int16_t{});
        case Type::u32:
            return make(std::uint32_t{});
        case Type::s32:
            return make(std::int32_t{});
        case Type::s64:
            return make(std::int64_t{});
        default:
            return make(std::uint64_t{});
    }
}

/// The same for all types.
template <class Make>
auto with_type(Type type, Make make) {
    if (type == Type::f32) return make(float{});
    if (type == Type::f64) return make(double{});
    return with_integer(type, make);
}

}  // namespace emulator::ptx
