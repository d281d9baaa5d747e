// Reads the PTX files once, and finds kernels in them by their names.
#include "kernels.hpp"

#include <cxxabi.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <sstream>

#include "../emulator.hpp"
#include "../symbols.hpp"
#include "constants.hpp"
#include "machine.hpp"
#include "parser.hpp"

namespace emulator {
namespace ptx {
namespace {

constexpr std::size_t constant_bytes = 16 << 20, most_static_shared = 48 * 1024;

std::string without_folders(const std::string& file) {
    return file.substr(file.rfind('/') + 1);
}

void erase_all(std::string& text, std::string_view part) {
    for (std::size_t at; (at = text.find(part)) != std::string::npos;) text.erase(at, part.size());
}

// Both compilers' names without what is only theirs: unnamed namespaces, and nvcc's mark of internal linkage.
std::string common_name(const std::string& mangled) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), std::free);
    std::string name = status == 0 ? text.get() : mangled;
    erase_all(name, "(anonymous namespace)::");
    for (std::size_t at; (at = name.find("_INTERNAL_")) != std::string::npos;) {
        const std::size_t end = name.find("::", at);
        if (end == std::string::npos) break;
        name.erase(at, end + 2 - at);
    }
    return name;
}

struct Library {
    std::vector<std::unique_ptr<Module>> modules;
    std::map<std::string, std::vector<const Function*>> kernels;  // by their common names
    std::map<std::string, std::vector<MemoryRange>> constants;
};

void add_file(Library& library, const std::string& file) {
    std::ifstream in(file);
    if (!in) throw Error("cannot read " + file + ", which SILOSUM_CUDA_PTX names");
    std::ostringstream text;
    text << in.rdbuf();
    library.modules.push_back(parse_module(without_folders(file), text.str()));
    const Module& module = *library.modules.back();
    for (const auto& [name, function] : module.functions) {
        if (function->is_kernel) library.kernels[common_name(name)].push_back(function.get());
    }
    for (const auto& [name, range] : module.constants) library.constants[common_name(name)].push_back(range);
}

Library read_library() {
    Library library;
    const char* files = std::getenv("SILOSUM_CUDA_PTX");
    std::istringstream list(files == nullptr ? "" : files);
    for (std::string file; std::getline(list, file, ':');) add_file(library, file);
    return library;
}

const Library& library() {
    static const Library the_library = read_library();
    return the_library;
}

// Kernels in unnamed namespaces of several files can have the same name: the one from the file that launches it is meant.
const Function& find_kernel(const Launch& launch) {
    const std::string name = common_name(symbol_name(launch.kernel));
    const auto found = library().kernels.find(name);
    if (found == library().kernels.end()) throw Error("no kernel " + name + " in the files that SILOSUM_CUDA_PTX names");
    const auto& candidates = found->second;
    if (candidates.size() == 1) return *candidates.front();
    const auto from_here = std::find_if(candidates.begin(), candidates.end(), [&](const Function* kernel) {
        const auto& sources = kernel->module->sources;
        return std::any_of(sources.begin(), sources.end(),
                           [&](const auto& source) { return without_folders(source.second) == without_folders(launch.where.file); });
    });
    if (from_here == candidates.end()) throw Error("several kernels " + name + " in the files that SILOSUM_CUDA_PTX names");
    return **from_here;
}

void add_pieces(std::vector<SharedPiece>& pieces, const std::vector<SharedPiece>& more, std::uint32_t offset) {
    for (const SharedPiece& piece : more)
        pieces.push_back({offset + piece.offset, piece.bytes, "shared variable " + common_name(piece.name)});
}

}  // namespace

Launch replaced(const Launch& launch) {
    if (!runs_ptx()) return launch;
    const Function& kernel = find_kernel(launch);
    const std::size_t threads = std::size_t{launch.threads.x} * launch.threads.y * launch.threads.z;
    if (kernel.most_threads != 0 && threads > kernel.most_threads) {
        throw Error("kernel launched at " + place(launch.where) + ": " + std::to_string(threads) +
                    " threads in a block, more than its __launch_bounds__ of " + std::to_string(kernel.most_threads));
    }
    const std::uint32_t before = dynamic_shared_offset(kernel);
    if (kernel.shared_bytes > most_static_shared) throw Error("kernel " + kernel.name + " has more than 48 KiB of static shared memory");
    begin_kernel(kernel, launch.parameters, launch.shared_bytes);
    Launch result = launch;
    result.run = [](const void*) { run_kernel(); };
    result.shared_pieces.clear();
    add_pieces(result.shared_pieces, kernel.module->shared, 0);
    add_pieces(result.shared_pieces, kernel.shared, kernel_shared_offset(kernel));
    for (SharedPiece piece : launch.shared_pieces) {
        piece.offset += before;
        result.shared_pieces.push_back(piece);
    }
    result.shared_bytes = before + launch.shared_bytes;
    return result;
}

MemoryRange constants() {
    static char* const memory = [] {
        void* mapped = mmap(nullptr, constant_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) throw std::bad_alloc();
        return static_cast<char*>(mapped);
    }();
    return {memory, constant_bytes};
}

char* add_constant(std::size_t bytes, std::size_t alignment) {
    static std::size_t top = 0;
    const std::size_t offset = (top + alignment - 1) / alignment * alignment;
    top = offset + bytes;
    if (top > constant_bytes) throw Error("too many constants in the files that SILOSUM_CUDA_PTX names");
    return const_cast<char*>(constants().begin) + offset;
}

void copy_to_constant(const void* symbol, std::size_t offset, const void* from, std::size_t bytes) {
    if (!runs_ptx()) return;
    const std::string name = common_name(symbol_name(symbol));
    const auto found = library().constants.find(name);
    if (found == library().constants.end()) throw Error("no constant " + name + " in the files that SILOSUM_CUDA_PTX names");
    for (const MemoryRange& range : found->second) {
        if (offset + bytes > range.bytes) throw Error("constant " + name + " is smaller in PTX");
        std::memcpy(const_cast<char*>(range.begin) + offset, from, bytes);
    }
}

}  // namespace ptx

bool runs_ptx() {
    return !ptx::library().modules.empty();
}

}  // namespace emulator
