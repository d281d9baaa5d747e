// cp.async: copies from global to shared memory that are applied at the wait for their group.
#include <cstring>

#include "../copy_async.hpp"
#include "memory.hpp"

namespace emulator::ptx {
namespace {

// slots: bases of the two addresses; extra: bytes.
void begin_copy(Machine& m, const Instruction& i) {
    unsigned char* to = shared_memory() + static_cast<std::uint32_t>(m.slots[i.slots[0]] + static_cast<std::uint64_t>(i.offset));
    const auto* from = reinterpret_cast<const unsigned char*>(m.slots[i.slots[1]]);
    copy_async(to, from, i.extra, place_of(m, i));
}
void commit(Machine&, const Instruction&) {
    commit_copies();
}
void wait_group(Machine& m, const Instruction& i) {
    wait_copies(m.get<int>(i.slots[0]));
}
void wait_all(Machine&, const Instruction&) {
    commit_copies();
    wait_copies(0);
}

void decode_copy(Decoder& d) {
    if (!d.take("async")) d.refuse("only async");
    if (d.take("commit_group")) {
        d.out.run = commit;
    } else if (d.take("wait_all")) {
        d.out.run = wait_all;
    } else if (d.take("wait_group")) {
        d.take_slots(1);
        d.out.run = wait_group;
    } else {
        if (take_space(d) != Space::shared || d.operands.size() != 3) d.refuse("other than from global to shared memory, all bytes");
        d.take("global");
        d.take_address(0, 0);
        if (d.operands[1].kind != Operand::Kind::address || d.operands[1].offset != 0) d.refuse("an offset of the source");
        d.out.slots[1] = d.operands[1].slots.at(0);
        d.out.extra = static_cast<std::uint32_t>(d.operands[2].offset);
        d.out.run = begin_copy;
    }
}

}  // namespace

std::vector<Row> copy_async_rows() {
    return {{"cp", decode_copy}};
}

}  // namespace emulator::ptx
