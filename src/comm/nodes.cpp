#include "comm/nodes.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

// A name in the machine's shared memory, there only until all ranks of the node have opened it.
class SharedFile {
public:
    SharedFile() = default;
    SharedFile(const SharedFile&) = delete;
    SharedFile& operator=(const SharedFile&) = delete;
    ~SharedFile() {
        if (file_ >= 0) ::close(file_);
        if (!made_.empty()) ::shm_unlink(made_.c_str());
    }

    void make(const std::string& name, std::size_t bytes) {
        file_ = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
        check(file_ < 0 ? errno : 0, bytes);
        made_ = name;
        check(::ftruncate(file_, static_cast<off_t>(bytes)) == 0 ? 0 : errno, bytes);
    }
    void forget_name() {
        if (!made_.empty()) ::shm_unlink(made_.c_str());
        made_.clear();
    }
    /// Takes the memory from `first` to `last` of all, near this rank's core; without it a full /dev/shm would kill the ranks later.
    /// memory: where all of it is mapped.
    void take(std::size_t first, std::size_t last, std::size_t all, std::byte* memory) const {
        if (first == last) return;
        take_huge_pages(first, last, memory);
        check(allocate(first, last - first), all);
    }
    void open(const std::string& name, std::size_t bytes) {
        file_ = ::shm_open(name.c_str(), O_RDWR, 0);
        check(file_ < 0 ? errno : 0, bytes);
    }
    /// At a multiple of a huge page where it is as large as one.
    [[nodiscard]] std::shared_ptr<std::byte> map(std::size_t bytes) const {
        const std::size_t spare = bytes < huge_page ? 0 : huge_page;
        void* const room = ::mmap(nullptr, bytes + spare, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        check(room == MAP_FAILED ? errno : 0, bytes);
        std::shared_ptr<std::byte> whole(static_cast<std::byte*>(room), [size = bytes + spare](std::byte* p) { ::munmap(p, size); });
        const std::size_t beyond = reinterpret_cast<std::uintptr_t>(room) % huge_page;
        std::byte* const begin = whole.get() + (spare == 0 || beyond == 0 ? 0 : huge_page - beyond);
        void* const memory = ::mmap(begin, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_, 0);
        check(memory == MAP_FAILED ? errno : 0, bytes);
        return {std::move(whole), begin};
    }

private:
    /// Vectors in small pages cost a walk through page tables every few kilobytes. Systems give shared memory huge pages only where they
    /// are asked for each (Linux from 6.1 on), and only where the first small one is there; elsewhere it is taken in small ones.
    void take_huge_pages(std::size_t first, std::size_t last, std::byte* memory) const {
#if defined(__linux__)
        constexpr int collapse = 25;  // MADV_COLLAPSE, which older headers lack
        for (std::size_t at = (first + huge_page - 1) / huge_page * huge_page; at + huge_page <= last; at += huge_page) {
            if (allocate(at, 1) != 0) return;
            if (::madvise(memory + at, huge_page, collapse) != 0 && errno != EAGAIN) return;
        }
#endif
    }
    /// 0, or an error number. Again where a signal came.
    [[nodiscard]] int allocate(std::size_t first, std::size_t bytes) const {
        int code = EINTR;
        while (code == EINTR) code = ::posix_fallocate(file_, static_cast<off_t>(first), static_cast<off_t>(bytes));
        return code;
    }
    static void check(int code, std::size_t bytes) {
        require<RuntimeError>(code == 0, "cannot share {} of memory (/dev/shm): {}", size_text(static_cast<double>(bytes)),
                              std::strerror(code));
    }
    int file_ = -1;
    std::string made_;
};

// Everything written before is seen by the ranks of a node afterwards.
void meet(const Communicator& communicator) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    barrier(communicator);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace

Nodes::Nodes(const std::vector<int>& first_of) : of_(first_of.size()), place_(first_of.size()) {
    for (std::size_t rank = 0; rank < first_of.size(); ++rank) {
        const auto first = static_cast<std::size_t>(first_of[rank]);
        if (first == rank) ranks_of_.emplace_back();
        of_[rank] = first == rank ? ranks_of_.size() - 1 : of_[first];
        auto& ranks = ranks_of_[of_[rank]];
        place_[rank] = ranks.size();
        ranks.push_back(static_cast<int>(rank));
    }
}

Nodes::Nodes(const Communicator& communicator, int largest)
    : Nodes([&] {
          const Communicator machine = communicator.split_by_machine();
          const int place = largest > 0 ? machine.rank() / largest * largest : 0;
          const auto ranks = all_gather(machine, communicator.rank());
          return all_gather(communicator, ranks[static_cast<std::size_t>(place)]);
      }()) {}

Nodes Nodes::apart(const Communicator& communicator) {
    std::vector<int> ranks;
    for (int rank = 0; rank < communicator.size(); ++rank) ranks.push_back(rank);
    return Nodes(ranks);
}

Nodes Nodes::among(const std::vector<int>& ranks) const {
    std::vector<int> first_of;
    for (const int rank : ranks) {
        const auto first = std::find_if(ranks.begin(), ranks.end(), [&](int other) { return together(rank, other); });
        first_of.push_back(static_cast<int>(first - ranks.begin()));
    }
    return Nodes(first_of);
}

std::shared_ptr<std::byte> shared_memory(const Communicator& communicator, const Nodes& nodes, std::size_t bytes) {
    const int first = nodes.ranks_of(nodes.of(communicator.rank())).front();
    const bool makes = communicator.rank() == first;
    std::shared_ptr<std::byte> memory;
    if (bytes == 0) return memory;

    // The number keeps apart what a killed job of the same process number may have left in the instant before its name was removed.
    SharedFile file;
    const std::string own_name = makes ? fmt::format("/silosum-{}-{:08x}", ::getpid(), std::random_device()()) : "";
    const auto names = all_gather_text(communicator, own_name);
    succeed_on_all(communicator, [&] {
        if (makes) file.make(own_name, bytes);
    });
    succeed_on_all(communicator, [&] {
        if (!makes) file.open(names[static_cast<std::size_t>(first)], bytes);
    });
    // No rank passes an agreement before all are there: all have opened it, so its name may go; only then is memory taken, so that a rank
    // which is killed leaves none; and all of it is there before any rank looks at it.
    succeed_on_all(communicator, [&] { file.forget_name(); });
    succeed_on_all(communicator, [&] {
        const std::size_t ranks = nodes.ranks_of(nodes.of(communicator.rank())).size();
        const std::size_t pages = bytes / huge_page;
        const auto cut = [&](std::size_t place) { return place == ranks ? bytes : pages * place / ranks * huge_page; };
        const std::size_t place = nodes.place(communicator.rank());
        memory = file.map(bytes);
        file.take(cut(place), cut(place + 1), bytes, memory.get());
    });
    return memory;
}

// A slice goes to one rank of each other node, so that all ranks of a node send and receive.
std::size_t all_gather_shared(const Communicator& communicator, const Nodes& nodes, const Slices& slices, std::size_t bytes_each,
                              std::byte* whole) {
    const int me = communicator.rank();
    const auto receiver = [&](int from, std::size_t node) {
        const auto& ranks = nodes.ranks_of(node);
        return ranks[nodes.place(from) % ranks.size()];
    };
    Transfers transfers(communicator);
    for (int from = 0; from < communicator.size(); ++from) {
        if (nodes.together(from, me) || receiver(from, nodes.of(me)) != me) continue;
        transfers.receive(whole + slices.begin(from) * bytes_each, slices.size(from) * bytes_each, from);
    }
    for (std::size_t node = 0; node < nodes.count(); ++node) {
        if (node == nodes.of(me)) continue;
        transfers.send(whole + slices.begin(me) * bytes_each, slices.size(me) * bytes_each, receiver(me, node));
    }
    transfers.wait("the slices of other nodes");
    meet(communicator);
    return slices.size(me) * bytes_each * static_cast<std::size_t>(communicator.size() - 1);
}

void broadcast_shared(const Communicator& communicator, const Nodes& nodes, std::span<std::byte> whole) {
    const int me = communicator.rank();
    Transfers transfers(communicator);
    if (me == 0) {
        for (std::size_t node = 1; node < nodes.count(); ++node) transfers.send(whole.data(), whole.size(), nodes.ranks_of(node).front());
    } else if (nodes.of(me) != 0 && nodes.place(me) == 0) {
        transfers.receive(whole.data(), whole.size(), 0);
    }
    transfers.wait("the model of rank 0");
    meet(communicator);
}

}  // namespace silosum
