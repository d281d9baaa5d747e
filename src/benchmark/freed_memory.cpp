#include "benchmark/freed_memory.hpp"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace silosum {

void keep_freed_blocks() {
    constexpr int most = 32 << 20;  // DEFAULT_MMAP_THRESHOLD_MAX of 64-bit glibc
    mallopt(M_MMAP_MAX, 65536);
    mallopt(M_MMAP_THRESHOLD, most);
    mallopt(M_TRIM_THRESHOLD, 2 * most);
}

void let_go_of_freed_blocks() {
    malloc_trim(0);
}

KeptMemory::KeptMemory() {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
}
KeptMemory::~KeptMemory() {
    keep_freed_blocks();
    let_go_of_freed_blocks();
}

void free_a_block(std::size_t bytes) {
    constexpr std::size_t page = 4096;
    auto* const block = static_cast<char*>(std::malloc(bytes));
    if (block == nullptr) throw std::bad_alloc();
    for (std::size_t at = 0; at < bytes; at += page) static_cast<volatile char*>(block)[at] = 1;
    std::free(block);
}

}  // namespace silosum
