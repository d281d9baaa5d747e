// What executes branches, calls and the end of functions.
#pragma once

#include "program.hpp"

namespace emulator::ptx::control {

void branch(Machine& m, const Instruction& i);
void branch_by_table(Machine& m, const Instruction& i);
void call(Machine& m, const Instruction& i);
void end_function(Machine& m, const Instruction& i);
void exit(Machine& m, const Instruction& i);
/// Of a predicate, for operands like !%p1.
void complement(Machine& m, const Instruction& i);

}  // namespace emulator::ptx::control
