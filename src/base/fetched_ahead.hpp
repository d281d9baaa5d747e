// Reading memory in order, with what comes next on its way: what a processor fetches by itself stops at the end of each page of 4 KiB.
// It pays where a loop waits for its own results, as a hash does.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace silosum {

/// Calls use(piece) for the bytes in order, piece by piece.
template <class Byte, class Use>
void in_pieces_fetched_ahead(std::span<Byte> bytes, const Use& use) {
    static_assert(sizeof(Byte) == 1);
    constexpr std::size_t piece = 1024;
    constexpr std::size_t ahead = 4096;
    constexpr std::size_t line = 64;
    for (std::size_t first = 0; first < bytes.size(); first += piece) {
        const std::size_t fetched = std::min(first + ahead, bytes.size());
        for (std::size_t i = fetched; i < std::min(fetched + piece, bytes.size()); i += line) __builtin_prefetch(&bytes[i], 0, 2);
        use(bytes.subspan(first, std::min(piece, bytes.size() - first)));
    }
}

/// Two ranges of memory that are read next, asked for bit by bit beside other work, which hides how long memory takes. Asked for at once
/// they would fill all places that a processor has for reads on their way, and the work would wait for those.
class SoonRead {
public:
    SoonRead() = default;
    SoonRead(std::span<const std::byte> first, std::span<const std::byte> second) : ranges_{first, second} {}
    [[nodiscard]] bool empty() const { return ranges_[0].empty() && ranges_[1].empty(); }
    /// How many times ask() is going to be called.
    void in_parts(std::size_t parts) {
        const std::size_t lines = (std::max(ranges_[0].size(), ranges_[1].size()) + line - 1) / line;
        part_ = line * ((lines + parts - 1) / std::max<std::size_t>(parts, 1));
    }
    /// Asks for the next part.
    void ask() {
        for (auto& range : ranges_) {
            const auto part = range.first(std::min(part_, range.size()));
            for (std::size_t i = 0; i < part.size(); i += line) __builtin_prefetch(&part[i], 0, 2);
            range = range.subspan(part.size());
        }
    }

private:
    static constexpr std::size_t line = 64;
    std::array<std::span<const std::byte>, 2> ranges_;
    std::size_t part_ = line;
};

}  // namespace silosum
