// PTX in the form in which it runs: no names are left, only numbers of slots and pointers to what executes an instruction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../launch.hpp"
#include "../memory_range.hpp"
#include "../where.hpp"
#include "types.hpp"

namespace emulator::ptx {

/// Where a frame keeps a 64-bit value: a register, a constant of the code, or a special register like %tid.x.
using Slot = std::uint16_t;
inline constexpr Slot no_slot = std::numeric_limits<Slot>::max();

struct Machine;
struct Instruction;
using Handler = void (*)(Machine&, const Instruction&);

struct Instruction {
    Handler run = nullptr;
    std::array<Slot, 14> slots{};  // results first; products of tensor cores have most
    Slot guard = no_slot;          // a predicate: whether it runs
    bool guard_negated = false;
    std::uint8_t flags = 0;   // the family's own
    std::uint32_t extra = 0;  // the family's own: a branch target, a number of elements
    std::int64_t offset = 0;  // to be added to an address
    std::uint32_t site = 0;   // for the access checker
    std::uint32_t place = 0;  // in Function::places
};

enum class Special : std::uint8_t {
    tid_x,
    tid_y,
    tid_z,
    ntid_x,
    ntid_y,
    ntid_z,
    ctaid_x,
    ctaid_y,
    ctaid_z,
    nctaid_x,
    nctaid_y,
    nctaid_z,
    lane,
    warp,
    lane_mask_eq,
    lane_mask_lt,
    lane_mask_le,
    lane_mask_gt,
    lane_mask_ge,
    parameters,      // address of the frame's parameters
    local,           // address of the frame's local memory
    kernel_shared,   // where the kernel's own static variables begin, as an offset in shared memory
    dynamic_shared,  // where the dynamic piece begins
    dynamic_shared_bytes,
};

struct ConstantSlot {
    Slot slot;
    std::uint64_t value;
};

struct SpecialSlot {
    Slot slot;
    Special special;
    std::uint64_t offset;  // to be added
};

struct Parameter {
    std::uint32_t offset, bytes;  // in the frame's parameters
};

struct Function;

struct Call {
    const Function* function;
    std::vector<Parameter> arguments, results;  // in the caller's frame
};

struct Module;

struct Function {
    std::string name;  // as in the text
    const Module* module = nullptr;
    bool is_kernel = false, is_defined = false;
    std::vector<Instruction> code;
    std::uint32_t slots = 0;  // registers, constants, special registers
    std::vector<ConstantSlot> constants;
    std::vector<SpecialSlot> specials;
    std::vector<Parameter> parameters, results;
    std::uint32_t parameter_bytes = 0, formal_bytes = 0, local_bytes = 0;  // the parameters of calls come after the formal ones
    std::vector<SharedPiece> shared;                                       // a kernel's own static variables, which lie behind the module's
    std::uint32_t shared_bytes = 0;
    std::uint32_t most_threads = 0;  // .maxntid; 0 for none
    std::vector<Where> places;
    std::deque<Call> calls;
    std::vector<std::vector<std::uint32_t>> branch_tables;
};

struct Module {
    std::string file;                         // without folders
    std::map<unsigned, std::string> sources;  // by the numbers in .file
    std::map<std::string, std::unique_ptr<Function>, std::less<>> functions;
    std::map<std::string, MemoryRange, std::less<>> constants;  // and other variables in global memory
    std::vector<SharedPiece> shared;                            // variables of several functions, or of one that is called
    std::uint32_t shared_bytes = 0;
};

/// One function's frame, while it runs on one thread.
struct Machine {
    std::uint64_t* slots;
    unsigned char* parameters;
    const Instruction* next = nullptr;
    const Function* function = nullptr;
    bool carry = false, has_exited = false;

    template <class T>
    [[nodiscard]] T get(Slot slot) const {
        return from_bits<T>(slots[slot]);
    }
    template <class T>
    void set(Slot slot, T value) {
        slots[slot] = to_bits(value);
    }
};

/// Runs a function to its end on the calling thread of a block. `parameters` holds the formal ones and gets the results. True if the thread
/// called exit.
bool run_function(const Function& function, unsigned char* parameters);

/// Address of the running block's shared memory, from which PTX counts.
unsigned char* shared_memory();

}  // namespace emulator::ptx
