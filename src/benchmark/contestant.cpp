#include "benchmark/contestant.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "benchmark/freed_memory.hpp"
#include "benchmark/stopwatch.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "comm/nccl.hpp"
#include "exchange/exact_sum.hpp"
#include "exchange/secure_sum.hpp"

namespace silosum {

namespace {

// Small integers, known without having been there. The sum of any silos lies far within the range.
struct Given {
    static constexpr float quantum = 0x1p-20F;
    static constexpr double range = 0x1p-8;
    static std::int64_t of_all(std::size_t i) { return static_cast<std::int64_t>(i * 2654435761U % 2001) - 1000; }
    static std::int64_t of_each(std::size_t i) { return static_cast<std::int64_t>(i / 8 % 5) - 2; }
    static std::int64_t times(std::uint32_t silo) { return silo % 512; }
};

// What the silos from `begin` to before `end` give together.
class SumOfGiven {
public:
    SumOfGiven(std::uint32_t begin, std::uint32_t end) : silos_(end - begin) {
        for (std::uint32_t silo = begin; silo < end; ++silo) times_ += Given::times(silo);
    }
    [[nodiscard]] std::int64_t silos() const { return silos_; }
    [[nodiscard]] double at(std::size_t i) const {
        return static_cast<double>(silos_ * Given::of_all(i) + times_ * Given::of_each(i)) * Given::quantum;
    }

private:
    std::int64_t silos_;
    std::int64_t times_ = 0;
};

// first: coordinate of the first value; the last part is filled up with coordinates that nobody moves.
void fill(std::span<float> values, std::size_t first, std::size_t parameters, std::uint32_t silo, float base) {
    const std::size_t n = std::min(values.size(), parameters - first);
    for (std::size_t i = 0; i < n; ++i) {
        values[i] = base + static_cast<float>(Given::of_all(first + i) + Given::times(silo) * Given::of_each(first + i)) * Given::quantum;
    }
    std::ranges::fill(values.subspan(n), base);
}

void all_reduce_floats(const Communicator& communicator, const float* sent, Buffer<float>& received) {
    for (std::size_t first = 0; first < received.size(); first += communicator.largest_count()) {
        const auto n = static_cast<int>(std::min(communicator.largest_count(), received.size() - first));
        mpi_check(MPI_Allreduce(sent == nullptr ? MPI_IN_PLACE : sent + first, received.data() + first, n, MPI_FLOAT, MPI_SUM,
                                communicator.handle()));
    }
}

// By MPI_Allreduce of float32, part by part: of what was made just before, as what our own sums are given is, and with memory to take as a
// call before has left it.
class FloatSum : public Contestant {
public:
    [[nodiscard]] double run() override {
        std::optional<KeptMemory> kept;
        if (keeps_memory_) kept.emplace();
        const std::size_t bytes = vectors_.received.size() * sizeof(float);
        if (has_run_) free_a_block(keeps_memory_ ? bytes : std::min(bytes, largest_kept));
        has_run_ = true;
        double seconds = 0;
        for (std::size_t part = 0; part < parts_; ++part) {
            fill(vectors_.sent.span(), 0, vectors_.sent.size(), static_cast<std::uint32_t>(communicator_.rank()), 0);
            watch_.start();
            run_part();
            seconds += watch_.stop();
        }
        return seconds;
    }
    [[nodiscard]] bool knows_its_sum() const override { return false; }

protected:
    FloatSum(const Communicator& communicator, std::size_t parts, BenchmarkVectors& vectors, bool keeps_memory)
        : communicator_(communicator), vectors_(vectors), watch_(communicator), parts_(parts), keeps_memory_(keeps_memory) {
        keep_freed_blocks();
    }

    const Communicator& communicator_;
    BenchmarkVectors& vectors_;

private:
    virtual void run_part() = 0;

    Stopwatch watch_;
    std::size_t parts_;
    bool keeps_memory_;
    bool has_run_ = false;  // the first run tells how much memory it takes
};

// What everybody compares with: it adds up, and does no more.
class AllReduce : public FloatSum {
public:
    AllReduce(const Communicator& communicator, std::size_t parts, BenchmarkVectors& vectors, bool keeps_memory)
        : FloatSum(communicator, parts, vectors, keeps_memory) {}

private:
    void run_part() override { all_reduce_floats(communicator_, vectors_.sent.data(), vectors_.received); }
};

// A round of FedAvg in float32, as it is done where the order of the sum does not matter: weighted updates, their sum, a step of the model.
class FloatRound : public FloatSum {
public:
    FloatRound(const Communicator& communicator, std::size_t parts, BenchmarkVectors& vectors)
        : FloatSum(communicator, parts, vectors, false), global_(vectors.sent.size()) {}

private:
    void run_part() override {
        constexpr float weight = 600;
        const float* const local = vectors_.sent.data();
        float* const update = vectors_.received.data();
        for (std::size_t i = 0; i < global_.size(); ++i) update[i] = weight * (local[i] - global_[i]);
        all_reduce_floats(communicator_, nullptr, vectors_.received);
        const float share = 1 / (weight * static_cast<float>(communicator_.size()));
        for (std::size_t i = 0; i < global_.size(); ++i) global_[i] += share * update[i];
    }

    Buffer<float> global_;
};

// What sums on GPUs are compared with: NCCL's own, of vectors that lie there.
class NcclAllReduce : public Contestant {
public:
    NcclAllReduce(const Communicator& communicator, const BenchmarkSetting& setting, BenchmarkVectors& vectors)
        : communicator_(communicator), watch_(communicator), vectors_(vectors), parameters_(setting.parameters) {
        if (!setting.gpu) throw AgreedError(ExitCode::usage, "nccl-allreduce is of GPUs: give --device cuda");
        stream_ = setting.gpu;
        succeed_on_all(communicator, [&] {
            given_ = stream_->allocate<float>(vectors.sent.size());
            sum_ = stream_->allocate<float>(vectors.sent.size());
        });
        nccl_ = std::make_unique<Nccl>(communicator, stream_->cuda());
    }
    [[nodiscard]] double run() override {
        double seconds = 0;
        for (std::size_t first = 0; first < parameters_; first += given_.size()) {
            fill(vectors_.sent.span(), first, parameters_, static_cast<std::uint32_t>(communicator_.rank()), 0);
            stream_->upload(std::span<const float>(vectors_.sent.span()), given_.span());
            stream_->wait();
            watch_.start();
            nccl_->all_reduce_sum(given_.span(), sum_.span());
            nccl_->wait("NCCL's sum of float32");
            seconds += watch_.stop();
            if (knows_its_sum()) check_sum(first);
        }
        return seconds;
    }
    [[nodiscard]] std::uint64_t wrong_words() const override { return wrong_; }
    // Sums of integers up to 2^24 are exact in any order, and a rank gives 2022 at most.
    [[nodiscard]] bool knows_its_sum() const override { return communicator_.size() <= 8192; }

private:
    void check_sum(std::size_t first) {
        stream_->download(std::span<const float>(sum_.span()), vectors_.received.span());
        stream_->wait();
        const SumOfGiven all(0, static_cast<std::uint32_t>(communicator_.size()));
        for (std::size_t i = 0; i < vectors_.received.size(); ++i) {
            const double expected = first + i < parameters_ ? all.at(first + i) : 0;
            if (vectors_.received[i] != expected) ++wrong_;
        }
    }

    const Communicator& communicator_;
    Stopwatch watch_;
    BenchmarkVectors& vectors_;
    std::size_t parameters_;  // of the whole vector
    std::optional<Stream> stream_;
    Buffer<float> given_, sum_;   // on the GPU, of a part
    std::unique_ptr<Nccl> nccl_;  // gone before the memory that it uses
    std::uint64_t wrong_ = 0;
};

// Our own, from the silos' models to the published one.
class ExchangedRound : public Contestant {
public:
    ExchangedRound(const Communicator& communicator, const BenchmarkSetting& setting, BenchmarkVectors& vectors, bool is_secure)
        : communicator_(communicator),
          watch_(communicator),
          vectors_(vectors),
          parameters_(setting.parameters),
          setup_(setup(communicator, setting)) {
        const ExchangeConfig config = config_of(setting, is_secure);
        if (is_secure) {
            group_ = std::make_unique<SecureGroup>(communicator, config, setup_.names, setup_.hosted);
            exchange_ = std::make_unique<SecureSum>(communicator, config, setup_, *group_);
        } else {
            exchange_ = std::make_unique<ExactSum>(communicator, config, setup_);
        }
        Layout layout;
        layout.add("weight", {setup_.parameters});
        global_ = exchange_->make_model(std::move(layout));
        succeed_on_all(communicator_, [&] {
            if (stream().is_cuda()) on_gpu_ = stream().allocate<float>(setup_.parameters);
        });
        local_ = exchange_->make_local();
        exchange_->publish_first(global_, [this](std::span<float> values) { std::ranges::fill(values, base_of(round_.number)); });
        round_.total = std::numeric_limits<std::uint64_t>::max();
        for (std::uint32_t silo = 0; silo < setting.silos; ++silo) round_.participants.push_back(silo);
        first_member_ = is_secure ? leavers_of(setting) : 0;
        turns_ = (setup_.names.size() + static_cast<std::size_t>(communicator.size()) - 1) / static_cast<std::size_t>(communicator.size());
    }

    [[nodiscard]] double run() override {
        phases_.clear();
        double seconds = 0;
        for (std::size_t first = 0; first < parameters_; first += setup_.parameters) {
            seconds += run_part(first);
            for (const auto& [phase, time] : exchange_->clock().phases()) phases_[phase] += time;
        }
        return seconds;
    }
    [[nodiscard]] std::uint64_t wrong_words() const override { return wrong_; }
    [[nodiscard]] std::size_t given_bytes() const override { return local_.size() * sizeof(float); }
    [[nodiscard]] std::string transport() const override { return exchange_->transport(); }
    [[nodiscard]] const std::map<std::string, PhaseTime>& phases() const override { return phases_; }
    [[nodiscard]] std::string graph() const override {
        if (!group_) return "";
        const std::uint32_t neighbours = group_->plan().neighbours;
        return fmt::format("{}, {}", neighbours + 1 == setup_.names.size() ? "complete" : "harary", neighbours);
    }

private:
    // Seconds for the coordinates from `first` on.
    double run_part(std::size_t first) {
        const float base = base_of(round_.number);
        double seconds = 0;
        // Virtual silos take turns in one buffer, on all ranks at once: what they give is made while nobody's clock runs.
        for (std::size_t turn = 0; turn < turns_; ++turn) {
            const bool has_silo = turn < setup_.hosted.size();
            if (has_silo || turn == 0) fill(given(), first, parameters_, has_silo ? setup_.hosted[turn] : 0, base);
            put_on_gpu();
            watch_.start();
            if (turn == 0) exchange_->begin(round_);
            if (has_silo) exchange_->add(update_of(setup_.hosted[turn]));
            if (turn + 1 == turns_) break;
            stream().wait();
            seconds += watch_.stop();
        }
        const Aggregate sum = exchange_->finish(round_);
        stream().wait();
        seconds += watch_.stop();
        check_mean(sum, first);
        const float next = base_of(round_.number + 1);
        step_to(next);
        watch_.start();
        exchange_->publish(global_);
        stream().wait();
        seconds += watch_.stop();
        wrong_ += static_cast<std::uint64_t>(std::ranges::count_if(
            on_host(std::span<const float>(global_.values.span()), vectors_.received), [next](float value) { return value != next; }));
        ++round_.number;
        return seconds;
    }

    [[nodiscard]] const Stream& stream() const { return exchange_->stream(); }
    // What a silo gives lies where it would train.
    [[nodiscard]] std::span<float> given() { return local_.empty() ? vectors_.sent.span() : local_.span(); }
    // Silos train where sums are made: their vectors are there before the clock runs.
    void put_on_gpu() {
        if (!stream().is_cuda()) return;
        stream().upload(std::span<const float>(given()), on_gpu_.span());
        stream().wait();
    }
    // What is hidden is tagged on the host: a silo on a GPU has to bring it there.
    [[nodiscard]] Update update_of(std::uint32_t silo) {
        Update update{.silo = silo, .weight = 1, .local = given(), .global = global_.values.span(), .numbers = {}};
        if (!stream().is_cuda()) return update;
        update.local = on_gpu_.span();
        if (group_) update.copy = on_host(update.local, vectors_.received);
        return update;
    }
    // The server's step is not part of the exchange, and not timed.
    void step_to(float next) {
        const auto slice = exchange_->slice_of(global_);
        if (!stream().is_cuda()) {
            std::ranges::fill(slice, next);
            return;
        }
        const auto values = vectors_.received.span().first(slice.size());
        std::ranges::fill(values, next);
        stream().upload(std::span<const float>(values), slice);
        stream().wait();
    }
    // values, or their copy.
    template <class T>
    [[nodiscard]] std::span<const T> on_host(std::span<const T> values, Buffer<T>& copy) const {
        if (!stream().is_cuda()) return values;
        if (copy.size() < values.size()) copy = Buffer<T>(values.size());
        stream().download(values, copy.span().first(values.size()));
        stream().wait();
        return copy.span().first(values.size());
    }

    // Exact sums of base and update in float32 need bases below 8. Every round has another model: one on the same would be looked up in the
    // ledgers: most_sums of them.
    static float base_of(std::uint64_t round) { return static_cast<float>(round) * 0x1p-10F; }
    static std::uint32_t leavers_of(const BenchmarkSetting& setting) {
        return static_cast<std::uint32_t>(setting.dropouts * setting.silos);
    }

    static ExchangeSetup setup(const Communicator& communicator, const BenchmarkSetting& setting) {
        ExchangeSetup setup{.parameters = setting.part_size(), .hosted = {}, .silos_per_round = setting.silos};
        for (std::uint32_t silo = 0; silo < setting.silos; ++silo) {
            setup.names.push_back(std::to_string(silo));
            if (static_cast<int>(silo) % communicator.size() == communicator.rank()) setup.hosted.push_back(silo);
        }
        setup.ranks_per_node = setting.ranks_per_node;
        setup.gpu = setting.gpu;
        return setup;
    }
    static ExchangeConfig config_of(const BenchmarkSetting& setting, bool is_secure) {
        Options defaults;
        ExchangeConfig config;
        config.add_to(defaults);
        config.ring_bits = setting.ring_bits;
        config.range = "fixed";
        config.range_value = Given::range;
        config.weights = "uniform";
        config.transport = setting.gpu ? "nccl" : setting.transport;
        config.chunk_kib = setting.chunk_kib;
        config.secure = is_secure;
        config.identities = "throwaway";
        config.graph = setting.graph;
        config.cipher = setting.cipher;
        config.integrity = setting.integrity;
        config.corrupt = 0.05;
        config.dropouts = std::max(0.05, setting.dropouts);
        const std::uint64_t sums = (setting.most_repetitions + 1) * setting.parts();
        for (std::uint64_t round = 1; is_secure && round <= sums; ++round) {
            for (std::uint32_t silo = 0; silo < leavers_of(setting); ++silo) {
                config.rehearse_leaving.push_back(fmt::format("{}:{}:entry", round, silo));
            }
        }
        return config;
    }

    // The mean is one division of an exact number: no other bits will do.
    void check_mean(const Aggregate& sum, std::size_t first) {
        const SumOfGiven all(first_member_, static_cast<std::uint32_t>(setup_.names.size()));
        const auto means = on_host(std::span<const double>(sum.mean), means_);
        for (std::size_t i = 0; i < means.size(); ++i) {
            const std::size_t at = first + sum.begin + i;
            const double expected = at < parameters_ ? all.at(at) / static_cast<double>(all.silos()) : 0;
            if (means[i] != expected) ++wrong_;
        }
    }

    const Communicator& communicator_;
    Stopwatch watch_;
    BenchmarkVectors& vectors_;
    std::size_t parameters_;  // of the whole vector
    ExchangeSetup setup_;     // of a part
    std::unique_ptr<SecureGroup> group_;
    std::unique_ptr<Exchange> exchange_;
    Parameters global_;
    Buffer<float> local_;   // where ranks of a machine read what silos give
    Buffer<float> on_gpu_;  // what the silo in turn gives, where sums are made on GPUs
    Buffer<double> means_;  // copied from there
    Round round_;
    std::size_t turns_ = 1;  // silos of the rank that has most
    std::uint32_t first_member_ = 0;
    std::map<std::string, PhaseTime> phases_;  // of all parts
    std::uint64_t wrong_ = 0;
};

}  // namespace

const std::map<std::string, PhaseTime>& Contestant::phases() const {
    static const std::map<std::string, PhaseTime> none;
    return none;
}

const std::vector<ContestantRow>& contestant_list() {
    static const std::vector<ContestantRow> rows{
        {.name = "allreduce",
         .help = "MPI_Allreduce of float32, which hides nothing and rounds",
         .make = [](const Communicator& c, const BenchmarkSetting& s, BenchmarkVectors& v) -> std::unique_ptr<Contestant> {
             return std::make_unique<AllReduce>(c, s.parts(), v, false);
         }},
        {.name = "allreduce-kept",
         .help = "the same where all freed memory is kept, as glibc can be told to (MALLOC_MMAP_MAX_=0)",
         .make = [](const Communicator& c, const BenchmarkSetting& s, BenchmarkVectors& v) -> std::unique_ptr<Contestant> {
             return std::make_unique<AllReduce>(c, s.parts(), v, true);
         }},
        {.name = "float",
         .help = "a round in float32: weighted updates, MPI_Allreduce, the new model",
         .make = [](const Communicator& c, const BenchmarkSetting& s, BenchmarkVectors& v) -> std::unique_ptr<Contestant> {
             return std::make_unique<FloatRound>(c, s.parts(), v);
         }},
        {.name = "nccl-allreduce",
         .help = "with --device cuda: ncclAllReduce of float32, of vectors that lie on the GPUs",
         .needs_gpu = true,
         .make = [](const Communicator& c, const BenchmarkSetting& s, BenchmarkVectors& v) -> std::unique_ptr<Contestant> {
             return std::make_unique<NcclAllReduce>(c, s, v);
         }},
        {.name = "exact",
         .help = "the exact sum, from the silos' models to the published one",
         .has_ring = true,
         .make = [](const Communicator& c, const BenchmarkSetting& s, BenchmarkVectors& v) -> std::unique_ptr<Contestant> {
             return std::make_unique<ExchangedRound>(c, s, v, false);
         }},
        {.name = "secure",
         .help = "the same under masks, with the hash of the published model",
         .has_ring = true,
         .is_secure = true,
         .make = [](const Communicator& c, const BenchmarkSetting& s, BenchmarkVectors& v) -> std::unique_ptr<Contestant> {
             return std::make_unique<ExchangedRound>(c, s, v, true);
         }},
    };
    return rows;
}

}  // namespace silosum
