#include "exchange/exact_sum.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "comm/agreement.hpp"

namespace silosum {

namespace {

// How far the next round's updates may exceed the last mean: single silos move further than their mean does.
constexpr double headroom = 16;
// Rounds without clipping before the memory of what was clipped is halved.
constexpr std::uint64_t rounds_to_forget = 32;

}  // namespace

std::uint64_t largest_weight(const ExchangeConfig& config, std::uint64_t largest_shard) {
    if (config.is_uniform()) return 1;
    if (config.max_weight == 0) return std::bit_ceil(std::max<std::uint64_t>(1, largest_shard));
    require(largest_shard <= config.max_weight, "exchange.max_weight = {}: the largest shard has {} training samples; raise it, or set 0",
            config.max_weight, largest_shard);
    return std::bit_ceil(config.max_weight);
}

ExactSum::ExactSum(const Communicator& communicator, const ExchangeConfig& config, const ExchangeSetup& setup)
    : communicator_(communicator.duplicate()),
      config_(config),
      setup_(setup),
      slices_(setup.parameters, communicator.size()),
      next_range_{.value = config.range_value},
      mean_(slices_.size(communicator.rank())),
      numbers_(setup.numbers) {
    communicator_.set_deadline(config.deadline_s);
    succeed_on_all(communicator_, [&] {
        max_weight_ = largest_weight(config, setup.largest_shard);
        plan_ = plan_encoding(static_cast<unsigned>(config.ring_bits), std::max<std::size_t>(1, setup.silos_per_round), config.range_value,
                              max_weight_);
    });
    check_wrapping_sums(communicator_);
    make_ring();
}

void ExactSum::make_ring() {
    const auto make = [&](const Nodes& nodes) {
        nodes_ = nodes;
        ring_ = make_ring_sum(config_.ring_bits, communicator_, nodes, slices_, config_.chunk_kib * 1024);
    };
    const auto by_messages = [&](const std::string& why) {
        make(Nodes::apart(communicator_));
        transport_ = communicator_.size() == 1 ? "one rank" : "messages" + why;
    };
    if (config_.transport == "messages") return by_messages("");
    const Nodes nodes(communicator_, setup_.ranks_per_node);
    if (nodes.count() == static_cast<std::size_t>(communicator_.size())) return by_messages("");
    try {
        model_ = shared_buffer<float>(communicator_, nodes, setup_.parameters);
        make(nodes);
        transport_ = nodes.count() == 1 ? "shared memory" : fmt::format("shared memory on {} nodes, messages between them", nodes.count());
        shared_model_ = model_.data();
    } catch (const AgreedError& error) {
        if (config_.transport == "shared") throw;
        model_ = {};
        by_messages(fmt::format(", as {}", error.what()));
    }
}

Parameters ExactSum::make_model(Layout layout) {
    if (shared_model_ == nullptr) return Parameters(std::move(layout));
    return {std::move(layout), std::move(model_)};
}

void ExactSum::publish_first(Parameters& global) {
    if (is_shared(global.values.span())) {
        broadcast_shared(communicator_, *nodes_, std::as_writable_bytes(global.values.span()));
    } else {
        broadcast(communicator_, global.values.span(), 0);
    }
}

void ExactSum::set_next_range(const NextRange& range) {
    for (const double value : {range.value, range.floor}) {
        require<DataError>(is_power_of_two(value) && value >= smallest_range && value <= largest_range,
                           "the checkpoint's range of updates is {}: must be a power of two within [2^-20, 2^20]", value);
    }
    next_range_ = range;
}

void ExactSum::begin(const Round& round) {
    round_ = round.number;
    expected_ = static_cast<std::size_t>(
        std::count_if(setup_.hosted.begin(), setup_.hosted.end(), [&](std::uint32_t silo) { return round.includes(silo); }));
    const double range = config_.range == "from_previous" ? next_range_.value : config_.range_value;
    plan_ = plan_encoding(plan_.ring_bits, std::max<std::size_t>(1, round.participants.size()), range, max_weight_);
    arrival_ = {};
    waiting_.clear();
    error_.reset();
    clipped_ = 0;
    largest_mean_ = 0;
    numbers_.clear();
    clock_.clear();
    bytes_sent_ = 0;
    ring_->clear();
}

std::string ExactSum::text_of(std::uint64_t silo) const {
    return silo < setup_.names.size() ? fmt::format("silo \"{}\"", setup_.names[silo]) : fmt::format("silo {}", silo);
}

void ExactSum::check(const Update& update) const {
    require<RuntimeError>(update.local.size() == setup_.parameters && update.global.size() == setup_.parameters,
                          "{}, round {}: the update has {} coordinates and began from {}, the model has {}", text_of(update.silo), round_,
                          update.local.size(), update.global.size(), setup_.parameters);
    require<RuntimeError>(config_.is_uniform() || update.weight <= max_weight_,
                          "{}, round {}: weight {} is more than the largest declared one, {}; raise exchange.max_weight",
                          text_of(update.silo), round_, update.weight, max_weight_);
    require<RuntimeError>(arrival_.present < expected_, "{}, round {}: it is not hosted here, or does not take part", text_of(update.silo),
                          round_);
}

void ExactSum::add(const Update& update) {
    if (const auto problem = error_of([&] {
            check(update);
            numbers_.add(update.numbers, fmt::format("{}, round {}: a result of its training", text_of(update.silo), round_));
        })) {
        remember(*problem);
        return;
    }
    const std::uint64_t weight = config_.is_uniform() ? std::min<std::uint64_t>(update.weight, 1) : update.weight;
    ++arrival_.present;
    arrival_.steps += update.steps;
    if (weight == 0) return;
    ++arrival_.trained;
    arrival_.weight += weight;
    arrival_.gives = 1;

    Waiting waiting{.silo = update.silo, .weight = weight, .local = update.local, .global = update.global, .copy = {}};
    const bool streams = expected_ == 1;
    clock_.measure("encode", [&] {
        if (config_.range == "agreed") {
            const double largest = kernels::largest_difference(setup_.parameters, update.local.data(), update.global.data());
            if (!std::isfinite(largest)) return remember_not_finite(update.silo, 0);
            if (largest > arrival_.largest) {
                arrival_.largest = largest;
                arrival_.largest_of = update.silo;
            }
            if (!streams) {
                waiting.copy = Buffer<float>(setup_.parameters);
                std::copy(update.local.begin(), update.local.end(), waiting.copy.begin());
                waiting.local = waiting.copy.span();
            }
        } else if (!streams) {
            return encode(waiting);
        }
        waiting_.push_back(std::move(waiting));
    });
}

void ExactSum::fail(const Error& error) {
    remember(error);
}

EncodedUpdate ExactSum::with_settings(const Waiting& update) const {
    return {.local = update.local, .global = update.global, .settings = {.range = plan_.range(), .factor = plan_.factor(update.weight)}};
}

void ExactSum::encode(const Waiting& update) {
    const auto count = ring_->add(with_settings(update));
    clipped_ += count.clipped;
    if (count.not_finite > 0) remember_not_finite(update.silo, count.not_finite);
}

void ExactSum::remember_not_finite(std::uint32_t silo, std::uint64_t coordinates) {
    const std::string count = coordinates == 0 ? "" : fmt::format("at least {} ", coordinates);
    remember(
        RuntimeError(fmt::format("{}, round {}: its training diverged, {}coordinates of the update are NaN or infinite; lower "
                                 "local.lr or set local.clip_norm",
                                 text_of(silo), round_, count)));
}

void ExactSum::remember(const Error& error) {
    arrival_.failed = 1;
    if (!error_) error_ = error;  // the first cause; what follows is often its effect
}

Aggregate ExactSum::finish(const Round& round) {
    // Everybody meets here: ranks that are done early wait in this call, and the wire's time below is free of their waiting.
    const auto arrivals = clock_.measure("wait", [&] { return all_gather(communicator_, arrival_); });
    if (std::any_of(arrivals.begin(), arrivals.end(), [](const Arrival& a) { return a.failed != 0; }))
        agree_on_error(communicator_, error_);

    Aggregate aggregate;
    aggregate.begin = slices_.begin(communicator_.rank());
    aggregate.end = slices_.end(communicator_.rank());
    aggregate.mean = mean_.span();
    for (const Arrival& arrival : arrivals) {
        aggregate.weight_sum += arrival.weight;
        aggregate.present += arrival.present;
        aggregate.trained += arrival.trained;
        aggregate.steps += arrival.steps;
    }
    // From here to the end all ranks hold the same values, so a refusal needs no further word between them.
    if (aggregate.present != round.participants.size()) {
        throw AgreedError(ExitCode::runtime, fmt::format("round {}: {} updates came for {} participants", round.number, aggregate.present,
                                                         round.participants.size()));
    }
    if (config_.range == "agreed") agree_on_range(arrivals);
    if (aggregate.is_refused()) {
        std::fill(mean_.begin(), mean_.end(), 0.0);
    } else {
        sum_words(arrivals, aggregate);
        aggregate.error_bound = plan_.error_bound(aggregate.weight_sum);
    }
    aggregate.range = plan_.range();
    sum_tail(aggregate);
    if (config_.range == "from_previous" && !aggregate.is_refused()) choose_next_range(aggregate, largest_mean_);
    waiting_.clear();
    return aggregate;
}

void ExactSum::agree_on_range(const std::vector<Arrival>& arrivals) {
    const Arrival& most =
        *std::max_element(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) { return a.largest < b.largest; });
    if (most.largest > largest_range) {
        throw AgreedError(ExitCode::runtime, fmt::format("{}, round {}: its training diverged, a coordinate of the update is {:.3g}; lower "
                                                         "local.lr or set local.clip_norm",
                                                         text_of(most.largest_of), round_, most.largest));
    }
    plan_ = plan_encoding(plan_.ring_bits, plan_.silos, power_of_two_from(std::max(smallest_range, most.largest)), max_weight_);
}

void ExactSum::sum_words(const std::vector<Arrival>& arrivals, Aggregate& aggregate) {
    std::optional<EncodedUpdate> streamed;
    if (expected_ == 1 && !waiting_.empty()) {
        streamed = with_settings(waiting_.front());
    } else {
        clock_.measure("encode", [&] {
            for (const Waiting& update : waiting_) encode(update);
        });
    }
    std::vector<bool> gives;
    for (const Arrival& arrival : arrivals) gives.push_back(arrival.gives != 0);

    const auto weight_sum = static_cast<double>(aggregate.weight_sum);
    const RingResult result = ring_->reduce(gives, streamed, plan_.unit(), weight_sum, aggregate.mean, clock_);
    clipped_ += result.count.clipped;
    if (result.count.not_finite > 0) remember_not_finite(waiting_.front().silo, result.count.not_finite);
    largest_mean_ = result.largest;
    bytes_sent_ += result.bytes_sent;
}

// What is known only after the words: whether a streamed update was finite, how much was clipped, and the exact numbers.
void ExactSum::sum_tail(Aggregate& aggregate) {
    clock_.measure("wire", [&] {
        std::vector<std::uint64_t> tail{error_ ? 1U : 0U, clipped_};
        tail.insert(tail.end(), numbers_.words().begin(), numbers_.words().end());
        all_reduce_sum(communicator_, std::span<std::uint64_t>(tail));
        if (tail[0] > 0) agree_on_error(communicator_, error_);
        aggregate.clipped = tail[1];
        std::copy(tail.begin() + 2, tail.end(), numbers_.words().begin());
        aggregate.numbers = numbers_.values();
    });
}

// The mean says little of single updates where these cancel, as where silos pull a trained model to different sides: what a clipped round
// has shown to be needed is therefore remembered.
void ExactSum::choose_next_range(const Aggregate& aggregate, double largest_of_slice) {
    double largest = largest_of_slice;
    clock_.measure("wire", [&] { all_reduce_max(communicator_, std::span<double>(&largest, 1)); });
    NextRange& next = next_range_;
    if (aggregate.clipped > 0) {
        next.floor = 2 * next.value;
        next.unclipped_rounds = 0;
    } else if (++next.unclipped_rounds == rounds_to_forget) {
        next.floor /= 2;
        next.unclipped_rounds = 0;
    }
    next.floor = std::clamp(next.floor, smallest_range, largest_range);
    const double wanted = largest > 0 ? power_of_two_from(headroom * largest) : next.value;
    next.value = std::clamp(wanted, next.floor, largest_range);
}

void ExactSum::publish(std::span<float> global) {
    bytes_sent_ += clock_.measure("publish", [&] {
        if (!is_shared(global)) return all_gather(communicator_, slices_, global);
        return all_gather_shared(communicator_, *nodes_, slices_, sizeof(float), std::as_writable_bytes(global).data());
    });
}

}  // namespace silosum
