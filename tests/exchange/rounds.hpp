// A small federation without training for the tests of the exchange, and the same rounds worked out by one process in plain loops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "exchange/exchange.hpp"
#if defined(SILOSUM_CUDA_EMULATED)
#include "support/test_stream.hpp"
#endif

namespace silosum {

/// The emulated GPU where the tests are linked with one: then rounds are summed on it.
inline std::optional<Stream> gpu() {
#if defined(SILOSUM_CUDA_EMULATED)
    return test::stream();
#else
    return std::nullopt;
#endif
}

/// Which rank hosts a silo, or which group of ranks.
using Placement = std::function<int(std::uint32_t silo, int ranks)>;
inline int in_turn(std::uint32_t silo, int ranks) {
    return static_cast<int>(silo) % ranks;
}
inline int all_on_last(std::uint32_t, int ranks) {
    return ranks - 1;
}
inline int in_pairs(std::uint32_t silo, int ranks) {
    return static_cast<int>(silo / 2) % ranks;
}

inline ExchangeConfig default_config() {
    Options options;
    ExchangeConfig config;
    config.add_to(options);
    if (gpu()) config.transport = "nccl";
    return config;
}

/// Ranks that may host a silo together, as many as divide the ranks.
inline std::vector<int> group_sizes(const Communicator& world) {
    std::vector<int> sizes;
    for (const int each : {1, 2, 3, 4}) {
        if (world.size() % each == 0) sizes.push_back(each);
    }
    return sizes;
}

struct Case {
    std::size_t parameters = 1000;
    std::size_t silos = 5;
    Placement placement = in_turn;
    ExchangeConfig config = default_config();
    std::uint64_t largest_shard = 600;
    float spread = 0.5F;  // updates lie within +-spread
    int ranks_per_node = 0;
    int ranks_per_silo = 1;

    [[nodiscard]] std::uint64_t weight(std::uint32_t silo) const { return 1 + silo * 97 % largest_shard; }
    // The updated model of a silo. A third of the coordinates are far smaller, to use all bits of the encoding.
    [[nodiscard]] std::vector<float> local(std::uint32_t silo, const std::vector<float>& global, std::uint64_t round) const {
        const Random random(11, Purpose::split, silo, static_cast<std::uint32_t>(round));
        std::vector<float> values(global);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const float size = i % 3 == 0 ? spread * 1e-4F : spread;
            values[i] += size * static_cast<float>(2 * random.uniform(i) - 1);
        }
        return values;
    }
    [[nodiscard]] std::vector<float> first_model() const {
        const Random random(5, Purpose::initial_model);
        std::vector<float> values(parameters);
        for (std::size_t i = 0; i < parameters; ++i) values[i] = static_cast<float>(random.uniform(i)) - 0.5F;
        return values;
    }
    [[nodiscard]] std::vector<std::uint32_t> hosted(const Communicator& world) const {
        std::vector<std::uint32_t> ids;
        for (std::uint32_t silo = 0; silo < silos; ++silo) {
            if (placement(silo, world.size() / ranks_per_silo) == world.rank() / ranks_per_silo) ids.push_back(silo);
        }
        return ids;
    }
    [[nodiscard]] ExchangeSetup setup(const Communicator& world, std::size_t numbers = 0) const {
        return {.parameters = parameters,
                .hosted = hosted(world),
                .silos_per_round = silos,
                .largest_shard = largest_shard,
                .numbers = numbers,
                .names = names(),
                .ranks_per_silo = ranks_per_silo,
                .ranks_per_node = ranks_per_node,
                .gpu = gpu()};
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (std::size_t silo = 0; silo < silos; ++silo) names.push_back("s" + std::to_string(silo));
        return names;
    }
    [[nodiscard]] Round round(std::uint64_t number = 1) const {
        Round round{.number = number, .total = 100, .participants = {}};
        for (std::uint32_t silo = 0; silo < silos; ++silo) round.participants.push_back(silo);
        return round;
    }
};

/// What is left of an aggregate once its slices are put together.
struct Played {
    std::vector<double> mean;
    Aggregate totals;
};

/// Values of the host where an exchange works: themselves, or a copy.
class Lent {
public:
    Lent(const Exchange& exchange, std::span<float> values) : stream_(exchange.stream()), values_(values) {
        if (!stream_.is_cuda()) return;
        copy_ = stream_.allocate<float>(values.size());
        stream_.upload(std::span<const float>(values), copy_.span());
        stream_.wait();
    }
    [[nodiscard]] std::span<float> span() { return stream_.is_cuda() ? copy_.span() : values_; }
    void give_back() {
        stream_.download(std::span<const float>(span()), values_);
        stream_.wait();
    }

private:
    Stream stream_;
    std::span<float> values_;
    Buffer<float> copy_;
};

/// Adds updates of the host; they last as long as this.
class Given {
public:
    explicit Given(Exchange& exchange) : exchange_(exchange) {}
    void add(Update update) {
        const auto lend = [&](std::span<const float> values) {
            copies_.emplace_back(values.begin(), values.end());
            return lent_.emplace_back(exchange_, copies_.back()).span();
        };
        update.copy = update.local;
        update.local = lend(update.local);
        update.global = lend(update.global);
        exchange_.add(update);
    }

private:
    Exchange& exchange_;
    std::deque<std::vector<float>> copies_;
    std::deque<Lent> lent_;
};

/// This rank's slice of the mean, in the memory of the host.
inline std::vector<double> mean_of(const Exchange& exchange, const Aggregate& sum) {
    std::vector<double> mean(sum.mean.size());
    exchange.stream().download(std::span<const double>(sum.mean), std::span(mean));
    exchange.stream().wait();
    return mean;
}

/// One round over the ranks: every hosted silo's update, the sum, and the model moved by the mean and published. room: where updates are
/// given; empty: anywhere.
inline Played play(
    const Communicator& world, const Case& c, Exchange& exchange, const Round& round, std::span<float> model,
    const std::function<std::vector<double>(std::uint32_t)>& numbers = [](std::uint32_t) { return std::vector<double>(); },
    std::span<float> room = {}) {
    exchange.begin(round);
    std::vector<float> local;  // like the trainer's buffers, used by one silo after the other
    Lent x(exchange, model);
    std::optional<Lent> y;
    for (const std::uint32_t silo : c.hosted(world)) {
        if (!round.includes(silo)) continue;
        local = c.local(silo, {model.begin(), model.end()}, round.number);
        if (!room.empty()) std::copy(local.begin(), local.end(), room.begin());
        y.emplace(exchange, room.empty() ? std::span<float>(local) : room);
        exchange.add({.silo = silo,
                      .weight = c.weight(silo),
                      .local = y->span(),
                      .global = x.span(),
                      .steps = 3,
                      .numbers = numbers(silo),
                      .copy = local});
    }
    Played played{.mean = std::vector<double>(c.parameters), .totals = exchange.finish(round)};
    const auto own = mean_of(exchange, played.totals);
    std::copy(own.begin(), own.end(), played.mean.begin() + static_cast<std::ptrdiff_t>(played.totals.begin));
    all_gather(world, exchange.slices(), std::span(played.mean));
    const auto slice = exchange.slice_of(x.span());
    const Stream& stream = exchange.stream();
    stream.run([&](const auto& on) { kernels::add_scaled(slice.size(), 1, played.totals.mean.data(), slice.data(), on); });
    exchange.publish(x.span());
    x.give_back();
    return played;
}

/// The same mean by its definition, one coordinate at a time, in 128-bit integers that cannot wrap.
struct Reference {
    std::vector<double> mean;
    std::uint64_t clipped = 0;
};
inline Reference reference(const Case& c, const EncodingPlan& plan, const Round& round, const std::vector<float>& model) {
    __extension__ using Wide = __int128;
    std::vector<Wide> sums(c.parameters, 0);
    Reference result{.mean = std::vector<double>(c.parameters), .clipped = 0};
    std::uint64_t weight_sum = 0;
    for (const std::uint32_t silo : round.participants) {
        const std::uint64_t weight = c.config.weights == "uniform" ? 1 : c.weight(silo);
        weight_sum += weight;
        const auto local = c.local(silo, model, round.number);
        for (std::size_t i = 0; i < c.parameters; ++i) {
            const double u = static_cast<double>(local[i]) - static_cast<double>(model[i]);
            result.clipped += std::abs(u) > plan.range() ? 1 : 0;
            const double share = static_cast<double>(weight) / plan.max_weight();
            sums[i] += static_cast<Wide>(std::nearbyint(std::ldexp(std::clamp(u, -plan.range(), plan.range()) * share, plan.scale_bits)));
        }
    }
    for (std::size_t i = 0; i < c.parameters; ++i) {
        result.mean[i] = std::ldexp(static_cast<double>(sums[i]), plan.weight_log2 - plan.scale_bits) / static_cast<double>(weight_sum);
    }
    return result;
}

}  // namespace silosum
