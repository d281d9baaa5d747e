// What the lanes of a warp do together: the last lane of the mask to come works out everyone's result.
#include <algorithm>
#include <bit>
#include <cmath>

#include "block.hpp"
#include "checker.hpp"

namespace emulator {
namespace {

bool is_shuffle(WarpOp operation) {
    return operation == WarpOp::index || operation == WarpOp::up || operation == WarpOp::down || operation == WarpOp::butterfly;
}

// The lane whose value a shuffle gives; the lane's own where CUDA says so.
unsigned source_lane(const WarpRequest& request, unsigned lane) {
    const auto width = static_cast<unsigned>(request.width);
    const unsigned base = lane & ~(width - 1), local = lane & (width - 1);
    switch (request.operation) {
        case WarpOp::index:
            return base + (request.operand & (width - 1));
        case WarpOp::up:
            return request.operand > local ? lane : lane - request.operand;
        case WarpOp::down:
            return request.operand >= width - local ? lane : lane + request.operand;
        default:
            return (local ^ request.operand) >= width ? lane : base + (local ^ request.operand);
    }
}

std::uint32_t combine(WarpOp operation, std::uint32_t a, std::uint32_t b) {
    const auto signed_a = static_cast<std::int32_t>(a), signed_b = static_cast<std::int32_t>(b);
    switch (operation) {
        case WarpOp::add:
            return a + b;
        case WarpOp::min_unsigned:
            return std::min(a, b);
        case WarpOp::max_unsigned:
            return std::max(a, b);
        case WarpOp::min_signed:
            return static_cast<std::uint32_t>(std::min(signed_a, signed_b));
        case WarpOp::max_signed:
            return static_cast<std::uint32_t>(std::max(signed_a, signed_b));
        case WarpOp::bits_and:
            return a & b;
        case WarpOp::bits_or:
            return a | b;
        default:
            return a ^ b;
    }
}

std::uint32_t lanes_where(const Thread* warp, std::uint32_t lanes, std::uint64_t value) {
    std::uint32_t found = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
        if ((lanes >> lane & 1) != 0 && warp[lane].request.value == value) found |= 1u << lane;
    }
    return found;
}

std::uint32_t combined(const Thread* warp, std::uint32_t lanes) {
    const auto first = static_cast<unsigned>(std::countr_zero(lanes));
    auto total = static_cast<std::uint32_t>(warp[first].request.value);
    for (unsigned lane = first + 1; lane < 32; ++lane) {
        if ((lanes >> lane & 1) == 0) continue;
        total = combine(warp[first].request.operation, total, static_cast<std::uint32_t>(warp[lane].request.value));
    }
    return total;
}

// What a lane brings to a product, and takes from it.
struct Fragments {
    float (&c)[4];
    const float (&a)[4];
    const float (&b)[2];
};

float in_tf32(float value) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & ~0x1FFFU);
}

void multiply_add(const Thread* warp) {
    const auto fragments = [&](unsigned lane) -> const Fragments& { return *std::bit_cast<const Fragments*>(warp[lane].request.value); };
    for (unsigned m = 0; m < 16; ++m) {
        for (unsigned n = 0; n < 8; ++n) {
            float& sum = fragments(m % 8 * 4 + n / 2).c[m / 8 * 2 + n % 2];
            for (unsigned k = 0; k < 8; ++k) {
                sum = std::fma(in_tf32(fragments(m % 8 * 4 + k % 4).a[m / 8 + k / 4 * 2]), in_tf32(fragments(n * 4 + k % 4).b[k / 4]), sum);
            }
        }
    }
}

void give_results(Thread* warp, std::uint32_t lanes) {
    const WarpOp operation = warp[std::countr_zero(lanes)].request.operation;
    if (operation == WarpOp::multiply_add_tf32) return multiply_add(warp);
    std::uint64_t same_for_all = 0;
    if (operation == WarpOp::ballot) {
        same_for_all = lanes_where(warp, lanes, 1);
    } else if (operation == WarpOp::any) {
        same_for_all = lanes_where(warp, lanes, 1) != 0;
    } else if (operation == WarpOp::all) {
        same_for_all = lanes_where(warp, lanes, 1) == lanes;
    } else if (!is_shuffle(operation) && operation != WarpOp::sync && operation != WarpOp::match_any) {
        same_for_all = combined(warp, lanes);
    }
    for (unsigned lane = 0; lane < 32; ++lane) {
        if ((lanes >> lane & 1) == 0) continue;
        const WarpRequest& request = warp[lane].request;
        warp[lane].result = same_for_all;
        if (operation == WarpOp::match_any) warp[lane].result = lanes_where(warp, lanes, request.value);
        if (!is_shuffle(operation)) continue;
        const unsigned source = source_lane(request, lane);
        if ((lanes >> source & 1) == 0) {
            fail("shuffle at ", request.where, ": lane ", lane, " reads lane ", source, ", which is not in its mask");
        }
        warp[lane].result = warp[source].request.value;
    }
}

// True if all those lanes wait, and for each other. A lane may first have to meet others, with another mask.
bool all_have_come(const Thread* warp, std::uint32_t waiting, std::uint32_t lanes, unsigned mask) {
    if ((waiting & lanes) != lanes) return false;
    for (unsigned lane = 0; lane < 32; ++lane) {
        if ((lanes >> lane & 1) != 0 && warp[lane].request.mask != mask) return false;
    }
    return true;
}

void require_same(const Thread* warp, std::uint32_t lanes, const WarpRequest& last) {
    for (unsigned lane = 0; lane < 32; ++lane) {
        if ((lanes >> lane & 1) == 0) continue;
        const WarpRequest& other = warp[lane].request;
        if (other.operation != last.operation || !other.where.is_same_as(last.where)) {
            fail("lanes of one warp meet at different operations: ", other.where, " and ", last.where);
        }
    }
}

}  // namespace

void multiply_add_tf32(float (&c)[4], const float (&a)[4], const float (&b)[2], Where where) {
    const Fragments own{c, a, b};
    const Thread& self = running_thread("a product of tensor cores");
    if (block().warps[self.warp()].lanes != ~0U) fail("product of tensor cores at ", where, ": its warp has not all 32 lanes");
    warp_exchange(WarpOp::multiply_add_tf32, ~0U, std::bit_cast<std::uint64_t>(&own), 0, 32, where);
}

std::uint64_t warp_exchange(WarpOp operation, unsigned mask, std::uint64_t value, unsigned operand, int width, Where where) {
    checker::pause();
    Thread& self = running_thread("a warp operation");
    Warp& warp = block().warps[self.warp()];
    Thread* threads = &self - self.lane();
    if ((mask >> self.lane() & 1) == 0) fail("warp operation at ", where, ": the calling lane is not in its mask");
    if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width))) {
        fail("shuffle at ", where, ": its width is ", width, ", not a power of two up to 32");
    }
    const std::uint32_t lanes = mask & warp.lanes;  // a last warp may have fewer: the hardware ignores those that never were
    if ((lanes & warp.returned) != 0) {
        fail("warp operation at ", where, " waits for lane ", std::countr_zero(lanes & warp.returned), ", which has returned");
    }
    self.request = {operation, mask, value, operand, width, where};
    self.state = State::at_warp_operation;
    warp.waiting |= 1u << self.lane();
    if (all_have_come(threads, warp.waiting, lanes, mask)) {
        require_same(threads, lanes, self.request);
        give_results(threads, lanes);
        if (operation == WarpOp::sync) checker::warp_barrier(self.warp(), lanes, warp.lanes);
        std::vector<unsigned> released;
        for (unsigned lane = 0; lane < 32; ++lane) {
            if ((lanes >> lane & 1) == 0) continue;
            threads[lane].state = State::ready;
            released.push_back(threads[lane].number);
        }
        warp.waiting &= ~lanes;
        block().turns.add(released);
    }
    wait_for_turn(self);
    checker::resume();
    return self.result;
}

}  // namespace emulator
