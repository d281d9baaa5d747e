// What threads do together: barriers, shuffles, votes, reductions over a warp.
#include "../block.hpp"
#include "memory.hpp"

namespace emulator::ptx {
namespace {

void block_barrier(Machine& m, const Instruction& i) {
    if (m.get<std::uint32_t>(i.slots[0]) != 0) fail("barrier other than 0 at ", place_of(m, i), ": not supported");
    sync_threads(0, place_of(m, i));
}
// slots: result, barrier, predicate.
template <class T>
void block_reduction(Machine& m, const Instruction& i) {
    const bool predicate = m.get<bool>(i.slots[2]);
    const Where& where = place_of(m, i);
    if (i.flags == 0) {
        m.set(i.slots[0], static_cast<T>(sync_threads(predicate ? 1 : 0, where)));
    } else if (i.flags == 1) {
        m.set(i.slots[0], static_cast<T>(sync_threads(predicate ? 0 : 1, where) == 0));
    } else {
        m.set(i.slots[0], static_cast<T>(sync_threads(predicate ? 1 : 0, where) != 0));
    }
}
void warp_barrier(Machine& m, const Instruction& i) {
    warp_exchange(WarpOp::sync, m.get<std::uint32_t>(i.slots[0]), 0, 0, 32, place_of(m, i));
}

void decode_barrier(Decoder& d) {
    d.take("cta");
    d.take("aligned");
    if (d.take("warp")) {
        d.take("sync");
        d.take_slots(1);
        d.out.run = warp_barrier;
    } else if (d.take("sync")) {
        if (d.operands.size() != 1) d.refuse("a number of threads");
        d.take_slots(1);
        d.out.run = block_barrier;
    } else if (d.take("red")) {
        if (d.operands.size() != 3) d.refuse("a number of threads");
        const std::string_view operation = d.take_one_of({"popc", "and", "or"});
        d.out.flags = operation == "popc" ? 0 : operation == "and" ? 1 : 2;
        d.take_type();
        d.take_slots(3);
        d.out.run = operation == "popc" ? block_reduction<std::uint32_t> : block_reduction<bool>;
    } else {
        d.refuse("other than sync and red");
    }
}

// slots: result, predicate, value, lane, clamp and segments, mask; flags: the direction.
template <WarpOp operation>
void shuffle(Machine& m, const Instruction& i) {
    const auto operand = m.get<std::uint32_t>(i.slots[3]), mask = m.get<std::uint32_t>(i.slots[5]);
    const unsigned width = 32 - (m.get<std::uint32_t>(i.slots[4]) >> 8 & 31);
    const unsigned local = block().running->lane() % width;
    m.set(i.slots[0], static_cast<std::uint32_t>(warp_exchange(operation, mask, m.get<std::uint32_t>(i.slots[2]), operand,
                                                               static_cast<int>(width), place_of(m, i))));
    if (i.slots[1] == no_slot) return;
    const bool in_range = operation == WarpOp::up          ? local >= operand
                          : operation == WarpOp::down      ? local + operand < width
                          : operation == WarpOp::butterfly ? (local ^ operand) < width
                                                           : true;
    m.set(i.slots[1], in_range);
}
void decode_shuffle(Decoder& d) {
    if (!d.take("sync")) d.refuse("without sync");
    const std::string_view direction = d.take_one_of({"idx", "up", "down", "bfly"});
    d.take_type();
    if (d.operands.size() != 5) d.refuse("its number of operands");
    const auto& results = d.operands.front().slots;
    d.out.slots[0] = results.at(0);
    d.out.slots[1] = results.size() > 1 ? results[1] : no_slot;
    d.take_slots_from(1, 2);
    d.out.run = direction == "up"     ? shuffle<WarpOp::up>
                : direction == "down" ? shuffle<WarpOp::down>
                : direction == "bfly" ? shuffle<WarpOp::butterfly>
                                      : shuffle<WarpOp::index>;
}

// slots: result, value, mask.
template <WarpOp operation>
void vote(Machine& m, const Instruction& i) {
    const std::uint64_t value = m.get<bool>(i.slots[1]) ? 1 : 0;
    m.slots[i.slots[0]] = warp_exchange(operation, m.get<std::uint32_t>(i.slots[2]), value, 0, 32, place_of(m, i));
}
template <WarpOp operation, class T>
void combine(Machine& m, const Instruction& i) {
    const std::uint64_t value = to_bits(static_cast<std::make_unsigned_t<T>>(m.get<T>(i.slots[1])));
    m.set(i.slots[0], static_cast<std::uint32_t>(warp_exchange(operation, m.get<std::uint32_t>(i.slots[2]), value, 0, 32, place_of(m, i))));
}

void decode_vote(Decoder& d) {
    if (!d.take("sync")) d.refuse("without sync");
    const std::string_view kind = d.take_one_of({"ballot", "any", "all"});
    if (kind.empty()) d.refuse("other than ballot, any and all");
    d.take_type();
    d.take_slots(3);
    d.out.run = kind == "ballot" ? vote<WarpOp::ballot> : kind == "any" ? vote<WarpOp::any> : vote<WarpOp::all>;
}
void decode_match(Decoder& d) {
    if (!d.take("any") || !d.take("sync")) d.refuse("other than any.sync");
    const bool wide = size_of(d.take_type()) == 8;
    d.take_slots(3);
    d.out.run = wide ? combine<WarpOp::match_any, std::uint64_t> : combine<WarpOp::match_any, std::uint32_t>;
}
void decode_reduction(Decoder& d) {
    if (!d.take("sync")) d.refuse("without sync");
    const std::string_view operation = d.take_one_of({"add", "min", "max", "and", "or", "xor"});
    const Type type = d.take_type();
    const bool is_signed = type == Type::s32;
    if (is_float(type)) d.refuse("of floats");
    d.take_slots(3);
    d.out.run = operation == "add"   ? combine<WarpOp::add, std::uint32_t>
                : operation == "and" ? combine<WarpOp::bits_and, std::uint32_t>
                : operation == "or"  ? combine<WarpOp::bits_or, std::uint32_t>
                : operation == "xor" ? combine<WarpOp::bits_xor, std::uint32_t>
                : operation == "min"
                    ? (is_signed ? combine<WarpOp::min_signed, std::uint32_t> : combine<WarpOp::min_unsigned, std::uint32_t>)
                    : (is_signed ? combine<WarpOp::max_signed, std::uint32_t> : combine<WarpOp::max_unsigned, std::uint32_t>);
}

// slots: 4 of d, 4 of a, 2 of b, 4 of c.
void tensor_product(Machine& m, const Instruction& i) {
    const auto value = [&](std::size_t slot) { return m.get<float>(i.slots[slot]); };
    const float a[] = {value(4), value(5), value(6), value(7)}, b[] = {value(8), value(9)};
    float c[] = {value(10), value(11), value(12), value(13)};
    multiply_add_tf32(c, a, b, place_of(m, i));
    for (std::size_t slot = 0; slot < 4; ++slot) m.set(i.slots[slot], c[slot]);
}
void decode_tensor_product(Decoder& d) {
    for (const char* modifier : {"sync", "aligned", "m16n8k8", "row", "col"}) {
        if (!d.take(modifier)) d.refuse("other than sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32");
    }
    if (!d.take("tf32") || !d.take("tf32")) d.refuse("of other types than tf32");
    if (d.take_type() != Type::f32 || d.take_type() != Type::f32) d.refuse("with other sums than f32");
    std::size_t at = 0;
    for (const Operand& operand : d.operands) {
        for (const Slot slot : operand.slots) d.out.slots.at(at++) = slot;
    }
    if (at != d.out.slots.size()) d.refuse("its number of operands");
    d.out.run = tensor_product;
}

void refuse_active_mask(Decoder& d) {
    d.refuse("what is active depends on the device and its compiler; pass the mask instead");
}

void trap(Machine& m, const Instruction& i) {
    fail("a thread came to a trap at ", place_of(m, i));
}
void decode_trap(Decoder& d) {
    d.out.run = trap;
}

}  // namespace

std::vector<Row> group_rows() {
    return {
        {"bar", decode_barrier}, {"barrier", decode_barrier},    {"shfl", decode_shuffle}, {"vote", decode_vote},
        {"match", decode_match}, {"redux", decode_reduction},    {"trap", decode_trap},    {"activemask", refuse_active_mask},
        {"brkpt", decode_trap},  {"mma", decode_tensor_product},
    };
}

}  // namespace emulator::ptx
