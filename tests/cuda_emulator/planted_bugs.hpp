// Kernels that are wrong on purpose, each with its correct twin. The line at which the emulator must say so is marked in the kernel's file
// with "planted: <name>".
#pragma once

#include <ostream>
#include <string>
#include <vector>

struct PlantedBug {
    std::string name;
    const char* file;
    /// Runs the faulty kernel or its twin and says whether the result is right. Throws what the emulator finds.
    bool (*run)(bool planted);

    /// What must come of it: "wrong" results, wrong results under "some seed", it "passes", or else a part of the error's text. "dies: "
    /// stands before a part of a sanitizer's text.
    std::string plain, checked, ptx, sanitized;
};

inline std::ostream& operator<<(std::ostream& out, const PlantedBug& bug) {
    return out << bug.name;
}

std::vector<PlantedBug> planted_in_barriers();
std::vector<PlantedBug> planted_in_warps();
std::vector<PlantedBug> planted_in_memory();
std::vector<PlantedBug> planted_in_order();
std::vector<PlantedBug> planted_in_values();
