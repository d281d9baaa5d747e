#include "benchmark/machine_limits.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/buffer.hpp"
#include "base/process.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "kernels/fixed_point.hpp"
#include "kernels/key_stream.hpp"
#include "privacy/crypto.hpp"
#include "privacy/ledger.hpp"
#include "privacy/model_hash.hpp"
#include "privacy/update_tag.hpp"

namespace silosum {

namespace {

using Word = std::uint32_t;

constexpr int turns = 5;
constexpr double turn_s = 0.01;
constexpr std::size_t piece = 4096;  // words, in the first-level cache
constexpr double mib = 1 << 20;

// Sizes in the files of Linux: "32768K".
std::optional<double> bytes_in(const std::filesystem::path& file) {
    std::ifstream text(file);
    double size = 0;
    char unit = ' ';
    if (!(text >> size)) return std::nullopt;
    text >> unit;
    return size * (unit == 'K' ? 1024 : unit == 'M' ? mib : 1);
}

std::string line_in(const std::filesystem::path& file) {
    std::ifstream text(file);
    std::string line;
    std::getline(text, line);
    return line;
}

// On one rank a core of a machine.
class Measurement {
public:
    Measurement(const Communicator& ranks, double cached_bytes)
        : ranks_(ranks),
          memory_(static_cast<std::size_t>(std::clamp(4 * cached_bytes / ranks.size(), 16 * mib, 256 * mib)) / (4 * piece * sizeof(Word)) *
                  4 * piece),
          small_(piece),
          leaf_(hash_leaf_floats) {}

    [[nodiscard]] double memory_reads(int tries = turns) {
        const auto step = [&] {
            const std::size_t part = memory_.size() / 4;
            const std::size_t at = next(part);
            const std::array<const Word*, 4> parts{from(at), from(part + at), from(2 * part + at), from(3 * part + at)};
            kernels::sum_words(piece, parts.size(), parts.data(), small_.data());
            return parts.size() * piece * sizeof(Word);
        };
        return rate(step, tries);
    }
    [[nodiscard]] double memory_writes() {
        return faster_store([&](kernels::Store store) {
            const Word* const words = small_.data();
            kernels::sum_words(piece, 1, &words, memory_.data() + next(memory_.size()), store);
            return piece * sizeof(Word);
        });
    }
    [[nodiscard]] double memory_copies() {
        return faster_store([&](kernels::Store store) {
            const std::size_t half = memory_.size() / 2;
            const std::size_t at = next(half);
            const Word* const words = from(at);
            kernels::sum_words(piece, 1, &words, memory_.data() + half + at, store);
            return 2 * piece * sizeof(Word);
        });
    }
    [[nodiscard]] double stream(const std::string& name) {
        const auto cipher = name == "aes128-ctr" ? kernels::Cipher::aes128_ctr : kernels::Cipher::chacha20;
        const std::vector<std::byte> key(kernels::stream_key_bytes(cipher));
        kernels::KeyStream stream(cipher, key);
        return rate([&] {
            stream.add_to(0, small_.span().first(piece / 2), kernels::Sign::plus);
            return piece / 2 * sizeof(Word);
        });
    }
    [[nodiscard]] double hash() {
        return rate([&] {
            (void)hashes_of_leaves(leaf_, 0, 1);
            return leaf_.size() * sizeof(float);
        });
    }
    [[nodiscard]] double tag() {
        const std::vector<float> update(UpdateTag::block);
        WordsTag tag{crypto::Secret<32>()};
        return rate([&] {
            tag.restart();
            tag.add(std::as_bytes(std::span(update)));
            (void)tag.value();
            return update.size() * sizeof(float);
        });
    }

private:
    [[nodiscard]] const Word* from(std::size_t at) const { return memory_.data() + at; }
    // Where the next piece of so many words is, again and again.
    [[nodiscard]] std::size_t next(std::size_t words) {
        at_ = at_ + 2 * piece <= words ? at_ + piece : 0;
        return at_;
    }
    [[nodiscard]] double sum(double mine) const {
        double all = 0;
        for (const double of_rank : all_gather(ranks_, mine)) all += of_rank;
        return all;
    }
    // Of all ranks together. step: does some of it; its bytes. By CPU time, as phases are.
    template <class Step>
    [[nodiscard]] double rate(Step step, int tries = turns) const {
        double best = 0;
        for (int turn = 0; turn < tries; ++turn) {
            barrier(ranks_);
            const double begin = wall_seconds();
            const double start = cpu_seconds();
            double bytes = 0;
            do bytes += static_cast<double>(step());
            while (wall_seconds() - begin < turn_s);
            best = std::max(best, sum(bytes / (cpu_seconds() - start)));
        }
        return best;
    }
    // Which way to write is faster depends on the processor.
    template <class Step>
    [[nodiscard]] double faster_store(Step step) const {
        return std::max(rate([&] { return step(kernels::Store::stream); }), rate([&] { return step(kernels::Store::write); }));
    }

    const Communicator& ranks_;
    Buffer<Word> memory_;
    Buffer<Word> small_;
    std::vector<float> leaf_;
    std::size_t at_ = 0;
};

MachineLimits measure(const Communicator& ranks, const std::string& cipher) {
    double cached = 0;
    std::optional<Measurement> all;
    succeed_on_all(ranks, [&] {  // a rank without memory must not leave the others in the first turn
        cached = last_level_cache_bytes();
        all.emplace(ranks, cached);
    });
    Measurement& measurement = *all;
    return {.memory_reads = measurement.memory_reads(),
            .memory_writes = measurement.memory_writes(),
            .memory_copies = measurement.memory_copies(),
            .stream = measurement.stream(cipher),
            .hash = measurement.hash(),
            .tag = measurement.tag(),
            .machines = 1,
            .cores = static_cast<double>(ranks.size()),
            .cached_bytes = cached};
}

// One rank a core of each machine; the others wait.
class OneACore {
public:
    explicit OneACore(const Communicator& all)
        : all_(all),
          machine_(all.split_by_machine()),
          takes_part_(machine_.rank() < static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))),
          some_(machine_.split(takes_part_ ? 0 : 1)) {}
    /// Collective. what(ranks of this machine) on those that take part; an error of one is thrown by all.
    template <class What>
    void run(What&& what) const {
        std::optional<Error> error;
        if (takes_part_) {
            error = error_of([&] { what(some_); });
            barrier(all_);
        } else {
            sleep_until_barrier(all_);
        }
        agree_on_error(all_, error);
    }
    [[nodiscard]] bool is_first() const { return machine_.rank() == 0; }

private:
    const Communicator& all_;
    Communicator machine_;
    bool takes_part_;
    Communicator some_;
};

}  // namespace

// Each is told of by every core that shares it.
double last_level_cache_bytes() {
    std::map<std::string, std::map<std::string, double>> levels;  // bytes by level and by cores that share
    std::error_code missing;
    for (const auto& core : std::filesystem::directory_iterator("/sys/devices/system/cpu", missing)) {
        for (const auto& cache : std::filesystem::directory_iterator(core.path() / "cache", missing)) {
            const auto bytes = bytes_in(cache.path() / "size");
            if (bytes) levels[line_in(cache.path() / "level")][line_in(cache.path() / "shared_cpu_list")] = *bytes;
        }
    }
    if (levels.empty()) return 32 * mib;
    double sum = 0;
    for (const auto& [cores, bytes] : levels.rbegin()->second) sum += bytes;
    return sum;
}

MachineLimits measure_limits(const Communicator& communicator, const std::string& cipher) {
    const OneACore ranks(communicator);
    MachineLimits own{.machines = 0, .cores = 0};
    ranks.run([&](const Communicator& some) { own = measure(some, cipher); });
    if (!ranks.is_first()) own = {.machines = 0, .cores = 0};
    MachineLimits all{.machines = 0, .cores = 0};
    for (const auto& of : all_gather(communicator, own)) {
        all.memory_reads += of.memory_reads;
        all.memory_writes += of.memory_writes;
        all.memory_copies += of.memory_copies;
        all.stream += of.stream;
        all.hash += of.hash;
        all.tag += of.tag;
        all.machines += of.machines;
        all.cores += of.cores;
        all.cached_bytes = std::max(all.cached_bytes, of.cached_bytes);
    }
    for (double* const rate : {&all.memory_reads, &all.memory_writes, &all.memory_copies}) *rate /= all.machines;
    for (double* const rate : {&all.stream, &all.hash, &all.tag}) *rate /= all.cores;
    return all;
}

struct MemoryProbe::State {
    explicit State(const Communicator& all) : ranks(all) {
        ranks.run([&](const Communicator& some) { succeed_on_all(some, [&] { memory.emplace(some, last_level_cache_bytes()); }); });
    }
    OneACore ranks;
    std::optional<Measurement> memory;  // on those that take part
};

MemoryProbe::MemoryProbe(const Communicator& communicator) : communicator_(communicator), state_(std::make_unique<State>(communicator)) {}
MemoryProbe::~MemoryProbe() = default;

double MemoryProbe::now() {
    double own = 0;
    state_->ranks.run([&](const Communicator&) { own = state_->memory->memory_reads(2); });
    if (!state_->ranks.is_first()) own = 0;
    double sum = 0;
    int machines = 0;
    for (const double of : all_gather(communicator_, own)) {
        sum += of;
        machines += of > 0 ? 1 : 0;
    }
    return sum / std::max(1, machines);
}

nlohmann::json MachineLimits::to_json() const {
    return {{"memory_reads", memory_reads},
            {"memory_writes", memory_writes},
            {"memory_copies", memory_copies},
            {"stream", stream},
            {"hash", hash},
            {"tag", tag},
            {"cached_bytes", cached_bytes}};
}

std::string text_of(const MachineLimits& limits, const std::string& cipher) {
    return fmt::format(
        "limits of {}: memory reads {:.1f} GB/s, writes {:.1f} GB/s, copies {:.1f} GB/s; a core: {} {:.1f} GB/s, SHA-256 {:.2f} GB/s, "
        "tags {:.1f} GB/s",
        limits.machines > 1 ? "a machine" : "this machine", 1e-9 * limits.memory_reads, 1e-9 * limits.memory_writes,
        1e-9 * limits.memory_copies, cipher, 1e-9 * limits.stream, 1e-9 * limits.hash, 1e-9 * limits.tag);
}

}  // namespace silosum
