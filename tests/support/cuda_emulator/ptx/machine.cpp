// Frames, special registers, and the loop that executes instructions.
#include "machine.hpp"

#include <cstring>

#include "../block.hpp"
#include "../cuda_emulator.hpp"
#include "control.hpp"

namespace emulator::ptx {
namespace {

// A frame lies on its fibre's stack: so a kernel that fails leaves nothing behind, and the checker knows it as the thread's own memory.
constexpr std::size_t most_frame_bytes = 192 * 1024;

struct {
    const Function* kernel = nullptr;
    const unsigned char* arguments = nullptr;
    std::size_t dynamic_bytes = 0;
} running;

std::uint64_t value_of(Special special, const unsigned char* parameters, const unsigned char* local) {
    const auto lane = [] { return running_thread("a special register").lane(); };
    switch (special) {
        case Special::tid_x:
            return threadIdx.x;
        case Special::tid_y:
            return threadIdx.y;
        case Special::tid_z:
            return threadIdx.z;
        case Special::ntid_x:
            return blockDim.x;
        case Special::ntid_y:
            return blockDim.y;
        case Special::ntid_z:
            return blockDim.z;
        case Special::ctaid_x:
            return blockIdx.x;
        case Special::ctaid_y:
            return blockIdx.y;
        case Special::ctaid_z:
            return blockIdx.z;
        case Special::nctaid_x:
            return gridDim.x;
        case Special::nctaid_y:
            return gridDim.y;
        case Special::nctaid_z:
            return gridDim.z;
        case Special::lane:
            return lane();
        case Special::warp:
            return running_thread("a special register").warp();
        case Special::lane_mask_eq:
            return 1u << lane();
        case Special::lane_mask_lt:
            return (1u << lane()) - 1;
        case Special::lane_mask_le:
            return (2ull << lane()) - 1;
        case Special::lane_mask_gt:
            return ~static_cast<std::uint32_t>((2ull << lane()) - 1);
        case Special::lane_mask_ge:
            return ~((1u << lane()) - 1);
        case Special::parameters:
            return reinterpret_cast<std::uintptr_t>(parameters);
        case Special::local:
            return reinterpret_cast<std::uintptr_t>(local);
        case Special::kernel_shared:
            return kernel_shared_offset(*running.kernel);
        case Special::dynamic_shared:
            return dynamic_shared_offset(*running.kernel);
        case Special::dynamic_shared_bytes:
            return running.dynamic_bytes;
    }
    return 0;
}

std::size_t rounded(std::size_t bytes) {
    return (bytes + 15) / 16 * 16;
}

}  // namespace

std::uint32_t kernel_shared_offset(const Function& kernel) {
    return static_cast<std::uint32_t>(rounded(kernel.module->shared_bytes));
}
std::uint32_t dynamic_shared_offset(const Function& kernel) {
    return kernel_shared_offset(kernel) + static_cast<std::uint32_t>(rounded(kernel.shared_bytes));
}

unsigned char* shared_memory() {
    return static_cast<unsigned char*>(dynamic_shared());
}

void begin_kernel(const Function& kernel, const unsigned char* arguments, std::size_t dynamic_shared_bytes) {
    running = {&kernel, arguments, dynamic_shared_bytes};
}

bool run_function(const Function& function, unsigned char* formal) {
    const std::size_t slot_bytes = rounded(function.slots * sizeof(std::uint64_t)), parameter_bytes = rounded(function.parameter_bytes);
    const std::size_t frame_bytes = slot_bytes + parameter_bytes + function.local_bytes + 16;
    if (frame_bytes > most_frame_bytes) fail("PTX function ", function.name, " needs a frame of ", frame_bytes, " bytes");
    auto* frame = static_cast<unsigned char*>(__builtin_alloca_with_align(frame_bytes, 128));
    Machine machine{reinterpret_cast<std::uint64_t*>(frame), frame + slot_bytes};
    std::memcpy(machine.parameters, formal, function.formal_bytes);
    unsigned char* local = machine.parameters + parameter_bytes;
    for (const auto& [slot, value] : function.constants) machine.slots[slot] = value;
    for (const auto& [slot, special, offset] : function.specials)
        machine.slots[slot] = value_of(special, machine.parameters, local) + offset;
    machine.function = &function;
    for (const Instruction* i = function.code.data(); i != nullptr; i = machine.next) {
        machine.next = i + 1;
        if (i->guard != no_slot && (machine.slots[i->guard] != 0) == i->guard_negated) continue;
        i->run(machine, *i);
    }
    for (const Parameter& result : function.results) std::memcpy(formal + result.offset, machine.parameters + result.offset, result.bytes);
    return machine.has_exited;
}

void run_kernel() {
    run_function(*running.kernel, const_cast<unsigned char*>(running.arguments));
}

namespace control {

void branch(Machine& m, const Instruction& i) {
    m.next = m.function->code.data() + i.extra;
}

void branch_by_table(Machine& m, const Instruction& i) {
    const auto& table = m.function->branch_tables[i.extra];
    const auto row = m.get<std::uint32_t>(i.slots[0]);
    if (row >= table.size()) fail("a branch beyond its table at ", m.function->places[i.place]);
    m.next = m.function->code.data() + table[row];
}

void call(Machine& m, const Instruction& i) {
    const Call& call = m.function->calls[i.extra];
    const Function& callee = *call.function;
    if (!callee.is_defined) fail("a call of a function without a body at ", m.function->places[i.place]);
    auto* formal = static_cast<unsigned char*>(__builtin_alloca_with_align(callee.formal_bytes + 1, 128));
    for (std::size_t n = 0; n < call.arguments.size(); ++n) {
        std::memcpy(formal + callee.parameters.at(n).offset, m.parameters + call.arguments[n].offset, callee.parameters[n].bytes);
    }
    if (run_function(callee, formal)) exit(m, i);
    for (std::size_t n = 0; n < call.results.size(); ++n) {
        std::memcpy(m.parameters + call.results[n].offset, formal + callee.results.at(n).offset, callee.results[n].bytes);
    }
}

void end_function(Machine& m, const Instruction&) {
    m.next = nullptr;
}

void exit(Machine& m, const Instruction&) {
    m.has_exited = true;
    m.next = nullptr;
}

void complement(Machine& m, const Instruction& i) {
    m.set(i.slots[0], !m.get<bool>(i.slots[1]));
}

}  // namespace control
}  // namespace emulator::ptx
