// What the access checker keeps about memory: for every four bytes who touched them, which bytes exist and which were written.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "launch.hpp"
#include "memory_range.hpp"

namespace emulator::checker {

struct Access {
    std::uint32_t site = 0, block = 0;
    std::uint32_t time = 0;  // the clock's; 0 for none
    std::uint16_t thread = 0;
    std::uint8_t bytes = 0;  // of the cell's four, a bit each
    bool atomic = false;
};

struct Cell {
    Access write;
    std::array<Access, 2> reads;
    Access foreign_read;  // of another block
};

struct Shadow {
    MemoryRange range;
    bool is_shared = false;
    Cell* cells = nullptr;
    std::uint8_t* state = nullptr;  // per cell: low four bits for the bytes written, high four for those that exist
    std::string (*describe)(const void* address) = nullptr;

    [[nodiscard]] std::size_t cell_of(const void* address) const {
        return static_cast<std::size_t>(static_cast<const char*>(address) - range.begin) / 4;
    }
};

/// The shadow of device memory or of one of the two kinds of shared memory; null for other addresses.
const Shadow* shadow_of(const void* address);

/// Shared memory of a new block: nothing written, of the dynamic part these pieces exist.
void begin_shared(const std::vector<SharedPiece>& pieces);

/// "file.cu:12" of a site: an offset in the program's code, or the number of a place that site_of was told.
std::string describe_site(std::uint32_t site);

}  // namespace emulator::checker
