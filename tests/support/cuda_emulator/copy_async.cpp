// Copies that are under way from their begin to the wait for their group. Until then the destination holds 0xff.
#include "copy_async.hpp"

#include <cstring>
#include <map>
#include <vector>

#include "block.hpp"
#include "checker.hpp"

namespace emulator {
namespace {

struct Copy {
    void* to;
    const void* from;
    std::size_t bytes;
    Where where;
    unsigned group;
};

struct Copies {
    std::vector<Copy> under_way;
    unsigned committed = 0;  // groups so far
};

// Of the threads of the running block, by number. Threads without any are not in it.
std::map<unsigned, Copies> copies_of;

}  // namespace

void copy_async(void* to_shared, const void* from_global, std::size_t bytes, Where where) {
    const Thread& self = running_thread("an asynchronous copy");
    const auto aligned = [=](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % bytes == 0; };
    if (bytes != 4 && bytes != 8 && bytes != 16) fail("copy_async of ", bytes, " bytes at ", where, ": only 4, 8 or 16");
    if (!aligned(to_shared) || !aligned(from_global)) fail("misaligned: copy_async of ", bytes, " bytes at ", where);
    const std::uint32_t site = checker::site_of(where);
    checker::access(from_global, bytes, checker::Kind::read, site);
    checker::access(to_shared, bytes, checker::Kind::write, site);
    checker::uninitialise(to_shared, bytes);
    std::memset(to_shared, 0xff, bytes);
    Copies& own = copies_of[self.number];
    own.under_way.push_back({to_shared, from_global, bytes, where, own.committed});
}

void commit_copies() {
    ++copies_of[running_thread("commit_copies").number].committed;
}

void wait_copies(int groups) {
    Copies& own = copies_of[running_thread("wait_copies").number];
    std::erase_if(own.under_way, [&](const Copy& copy) {
        if (copy.group + static_cast<unsigned>(groups) >= own.committed) return false;
        std::memcpy(copy.to, copy.from, copy.bytes);
        checker::access(copy.to, copy.bytes, checker::Kind::write, checker::site_of(copy.where));
        return true;
    });
}

void require_copies_waited_for(const Thread& thread) {
    if (copies_of.empty()) return;
    const auto own = copies_of.find(thread.number);
    if (own == copies_of.end()) return;
    if (!own->second.under_way.empty()) {
        fail("thread ", thread.number, " returns without a wait for its copy_async at ", own->second.under_way.front().where);
    }
    copies_of.erase(own);
}

void forget_copies() {
    copies_of.clear();
}

}  // namespace emulator
