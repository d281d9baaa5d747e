// Reads the ELF symbol table of the running program; lines come from addr2line, which is asked only for an error's text.
#include "symbols.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

namespace emulator {
namespace {

struct Program {
    std::uintptr_t load_address = 0;
    const char* thread_local_block = nullptr;
    std::map<std::uintptr_t, std::string> symbols;  // by offset from the load address
    std::vector<SharedVariable> shared;
};

std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
    return status == 0 ? text.get() : name;
}

// The first module is the program itself.
int note_program(dl_phdr_info* module, std::size_t, void* out) {
    auto& program = *static_cast<Program*>(out);
    program.load_address = module->dlpi_addr;
    program.thread_local_block = static_cast<const char*>(module->dlpi_tls_data);
    return 1;
}

void read_symbols(Program& program, const char* file) {
    const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(file);
    const auto* sections = reinterpret_cast<const Elf64_Shdr*>(file + header.e_shoff);
    for (unsigned s = 0; s < header.e_shnum; ++s) {
        if (sections[s].sh_type != SHT_SYMTAB) continue;
        const char* names = file + sections[sections[s].sh_link].sh_offset;
        const auto* symbols = reinterpret_cast<const Elf64_Sym*>(file + sections[s].sh_offset);
        for (std::size_t i = 0; i < sections[s].sh_size / sizeof(Elf64_Sym); ++i) {
            const char* name = names + symbols[i].st_name;
            const auto type = ELF64_ST_TYPE(symbols[i].st_info);
            if (symbols[i].st_shndx == SHN_UNDEF) continue;
            if (type == STT_FUNC || type == STT_OBJECT) program.symbols.emplace(symbols[i].st_value, name);
            // _ZZ begins the names of what functions hold; a thread_local of a namespace or class is none of ours.
            if (type == STT_TLS && std::strncmp(name, "_ZZ", 3) == 0 && program.thread_local_block != nullptr) {
                program.shared.push_back({{program.thread_local_block + symbols[i].st_value, symbols[i].st_size}, demangled(name)});
            }
        }
    }
    std::sort(program.shared.begin(), program.shared.end(), [](auto& a, auto& b) { return a.range.begin < b.range.begin; });
}

Program read_program() {
    Program program;
    dl_iterate_phdr(note_program, &program);
    const int descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (descriptor < 0 || fstat(descriptor, &status) != 0) return program;
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* file = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    close(descriptor);
    if (file == MAP_FAILED) return program;
    read_symbols(program, static_cast<const char*>(file));
    munmap(file, bytes);
    return program;
}

const Program& program() {
    static const Program the_program = read_program();
    return the_program;
}

}  // namespace

std::uintptr_t load_address() {
    return program().load_address;
}

std::string symbol_name(const void* address) {
    const auto found = program().symbols.find(reinterpret_cast<std::uintptr_t>(address) - load_address());
    return found == program().symbols.end() ? "" : found->second;
}

std::string source_line(std::uintptr_t offset) {
    // The call is one byte or more before the address it returns to.
    std::array<char, 96> command{};
    std::snprintf(command.data(), command.size(), "addr2line -s -e /proc/%d/exe 0x%zx 2> /dev/null", static_cast<int>(getpid()),
                  offset - 1);
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.data(), "r"), pclose);
    std::array<char, 512> line{};
    if (pipe == nullptr || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return "?";
    return {line.data(), std::strcspn(line.data(), " \n")};
}

const std::vector<SharedVariable>& shared_variables() {
    return program().shared;
}

}  // namespace emulator
