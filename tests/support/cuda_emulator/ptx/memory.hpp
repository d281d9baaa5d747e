// Addresses in PTX's state spaces.
#pragma once

#include <cstdint>

#include "../checker.hpp"
#include "decoder.hpp"

namespace emulator::ptx {

enum class Space : std::uint8_t { unchecked, global, shared };  // unchecked: parameters, local memory, constants

/// Takes the modifiers that name a space, and those about caches and memory order that change nothing here.
Space take_space(Decoder& d);

inline unsigned char* address_of(const Machine& m, const Instruction& i, Slot base, Space space) {
    const std::uint64_t address = m.slots[base] + static_cast<std::uint64_t>(i.offset);
    // Shared addresses are offsets of 32 bits.
    if (space == Space::shared) return shared_memory() + static_cast<std::uint32_t>(address);
    return reinterpret_cast<unsigned char*>(address);
}

/// The place of an instruction, for messages.
const Where& place_of(const Machine& m, const Instruction& i);

/// Fails for an access that is not aligned; tells the checker about the rest.
inline void check_access(const Machine& m, const Instruction& i, const void* address, std::size_t bytes, checker::Kind kind) {
    checker::access(address, bytes, kind, i.site);
    if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
        fail("misaligned: ", bytes, " bytes at ", place_of(m, i));
    }
}

}  // namespace emulator::ptx
