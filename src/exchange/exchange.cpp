#include "exchange/exchange.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "comm/agreement.hpp"
#include "exchange/device_ring_sum.hpp"

namespace silosum {

namespace {

// How far the next round's updates may exceed the last mean: single silos move further than their mean does.
constexpr double headroom = 16;
// Rounds without clipping before the memory of what was clipped is halved.
constexpr std::uint64_t rounds_to_forget = 32;

// The same on all ranks, as the error is.
[[noreturn]] void refuse_shared(const AgreedError& error) {
    throw AgreedError(error.code(),
                      fmt::format("exchange.transport = shared: {}; make more room there, or set exchange.transport = auto", error.what()));
}

}  // namespace

std::uint64_t largest_weight(const ExchangeConfig& config, std::uint64_t largest_shard) {
    if (config.is_uniform()) return 1;
    if (config.max_weight == 0) return std::bit_ceil(std::max<std::uint64_t>(1, largest_shard));
    require(largest_shard <= config.max_weight, "exchange.max_weight = {}: the largest shard has {} training samples; raise it, or set 0",
            config.max_weight, largest_shard);
    return std::bit_ceil(config.max_weight);
}

Exchange::Exchange(const Communicator& communicator, const ExchangeConfig& config, const ExchangeSetup& setup)
    : communicator_(communicator.duplicate(config.deadline_s)),
      ranks_(communicator_, setup.ranks_per_silo),
      config_(config),
      setup_(setup),
      slices_(setup.parameters, communicator.size(), setup.ranks_per_silo),
      part_(slices_.of_position(ranks_.position())),
      rehearsal_({}, {}),
      next_range_{.value = config.range_value},
      stream_(host_),
      numbers_(setup.numbers) {
    succeed_on_all(communicator_, [&] {
        require(config.transport != "nccl" || Nccl::is_built(),
                "exchange.transport = nccl: this build has no NCCL (see docs/gpu.md); use another transport");
        require(config.transport != "nccl" || setup.gpu,
                "exchange.transport = nccl needs run.device = cuda; here silos train on the processor");
        rehearsal_ = Rehearsal(config.rehearse_leaving, setup.names);
        max_weight_ = largest_weight(config, setup.largest_shard);
        plan_ = plan_encoding(static_cast<unsigned>(config.ring_bits), std::max<std::size_t>(1, setup.silos_per_round), config.range_value,
                              max_weight_);
    });
    check_wrapping_sums(communicator_);
    if (config.transport == "nccl") {
        make_ring_of_gpus();
    } else {
        make_ring();
    }
    succeed_on_all(communicator_, [&] { mean_ = stream_.allocate<double>(slices_.size(communicator_.rank())); });
}

void Exchange::make_ring_of_gpus() {
    stream_ = *setup_.gpu;
    nodes_ = Nodes::apart(communicator_);
    gpus_ = std::make_unique<GpuRanks>(communicator_, ranks_, stream_);
    agree_on_error(communicator_, error_of([&] {
                       ring_ =
                           make_device_ring_sum(config_.ring_bits, ranks_.peers(), *gpus_, part_, config_.chunk_kib * 1024, config_.secure);
                   }));
    transport_ = "NCCL " + Nccl::version();
}

void Exchange::make_ring() {
    std::vector<int> peers;
    for (int group = 0; group < ranks_.count(); ++group) peers.push_back(ranks_.rank_of(group, ranks_.position()));
    const auto make = [&](const Nodes& nodes) {
        nodes_ = nodes;
        // The rings of different positions are made side by side: what happens to one is told to all.
        agree_on_error(communicator_, error_of([&] {
                           ring_ = make_ring_sum(config_.ring_bits, ranks_.peers(), nodes.among(peers), part_, config_.chunk_kib * 1024,
                                                 config_.secure);
                       }));
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
        if (config_.transport == "shared") refuse_shared(error);
        model_ = {};
        by_messages(fmt::format(", as {}", error.what()));
    }
}

Parameters Exchange::make_model(Layout layout) {
    if (shared_model_ != nullptr) return {std::move(layout), std::move(model_)};
    Parameters model;
    succeed_on_all(communicator_, [&] { model = {layout, stream_.allocate<float>(layout.size())}; });
    return model;
}

Buffer<float> Exchange::make_local() {
    if (config_.secure || shared_model_ == nullptr || nodes_->count() > 1 || ranks_.each() > 1) return {};
    std::vector<std::uint64_t> most{setup_.hosted.size()};
    all_reduce_max(communicator_, std::span<std::uint64_t>(most));
    if (most[0] > 1) return {};  // words of several silos are added up on their rank
    try {
        updates_.emplace(communicator_, *nodes_, slices_);
        mean_ = updates_->own_mean();
    } catch (const AgreedError& error) {
        if (config_.transport == "shared") refuse_shared(error);
        transport_ += fmt::format(", word by word, as {}", error.what());  // chunks of words need less room
        return {};
    }
    transport_ += ", read in place";
    return updates_->own();
}

void Exchange::publish_first(Parameters& global, const std::function<void(std::span<float>)>& fill) {
    Buffer<float> copy(stream_.is_cuda() ? global.values.size() : 0);
    const std::span<float> values = stream_.is_cuda() ? copy.span() : global.values.span();
    succeed_on_first(communicator_, [&] { fill(values); });
    if (is_shared(values)) {
        broadcast_shared(communicator_, *nodes_, std::as_writable_bytes(values));
    } else {
        broadcast(communicator_, values, 0);
    }
    if (stream_.is_cuda()) {
        stream_.upload(std::span<const float>(values), global.values.span());
        stream_.wait();
    }
    take_model(global);
}

const Parameters& Exchange::on_host(const Parameters& global) {
    if (!stream_.is_cuda()) return global;
    if (copy_.layout != global.layout) copy_ = Parameters(global.layout);
    stream_.download(global.values.span(), copy_.values.span());
    stream_.wait();
    return copy_;
}

void Exchange::set_next_range(const NextRange& range) {
    for (const double value : {range.value, range.floor}) {
        require<DataError>(is_power_of_two(value) && value >= smallest_range && value <= largest_range,
                           "the checkpoint's range of updates is {}: must be a power of two within [2^-20, 2^20]", value);
    }
    next_range_ = range;
}

void Exchange::begin(const Round& round) {
    round_ = round.number;
    expected_ = static_cast<std::size_t>(
        std::count_if(setup_.hosted.begin(), setup_.hosted.end(), [&](std::uint32_t silo) { return round.includes(silo); }));
    const double range = config_.range == "from_previous" ? next_range_.value : config_.range_value;
    plan_ = plan_encoding(plan_.ring_bits, std::max<std::size_t>(1, round.participants.size()), range, max_weight_);
    waiting_.clear();
    error_.reset();
    numbers_.clear();
    clock_.clear();
    bytes_sent_ = 0;
    ring_->clear();
}

std::size_t Exchange::lost_of(const Round& round) const {
    return static_cast<std::size_t>(
        std::count_if(setup_.lost.begin(), setup_.lost.end(), [&](std::uint32_t silo) { return round.includes(silo); }));
}

std::string Exchange::text_of(std::uint64_t silo) const {
    return silo < setup_.names.size() ? fmt::format("silo \"{}\"", setup_.names[silo]) : fmt::format("silo {}", silo);
}

void Exchange::check(const Update& update, std::size_t already_there) const {
    require<RuntimeError>(update.local.size() == setup_.parameters && update.global.size() == setup_.parameters,
                          "{}, round {}: the update has {} coordinates and began from {}, the model has {}", text_of(update.silo), round_,
                          update.local.size(), update.global.size(), setup_.parameters);
    require<RuntimeError>(config_.is_uniform() || update.weight <= max_weight_,
                          "{}, round {}: weight {} is more than the largest declared one, {}; raise exchange.max_weight",
                          text_of(update.silo), round_, update.weight, max_weight_);
    require<RuntimeError>(already_there < expected_, "{}, round {}: it is not hosted here, or does not take part", text_of(update.silo),
                          round_);
}

std::uint64_t Exchange::weight_of(const Update& update) const {
    if (rehearsal_.gives_nothing(round_, update.silo)) return 0;
    return config_.is_uniform() ? std::min<std::uint64_t>(update.weight, 1) : update.weight;
}

Exchange::Waiting Exchange::waiting_for(const Update& update, std::uint64_t weight) {
    return {.silo = update.silo, .weight = weight, .local = update.local, .global = update.global, .copy = {}};
}

EncodedUpdate Exchange::with_settings(const Waiting& update) const {
    return {.local = update.local, .global = update.global, .settings = {.range = plan_.range(), .factor = plan_.factor(update.weight)}};
}

std::string Exchange::divergence(std::uint32_t silo, std::uint64_t coordinates) const {
    const std::string count = coordinates == 0 ? "" : fmt::format("at least {} ", coordinates);
    return fmt::format(
        "{}, round {}: its training diverged, {}coordinates of the update are NaN or infinite; lower local.lr, set "
        "local.clip_norm, or standardise the features (data.standardise)",
        text_of(silo), round_, count);
}

Aggregate Exchange::empty_aggregate() {
    Aggregate aggregate;
    aggregate.begin = slices_.begin(communicator_.rank());
    aggregate.end = slices_.end(communicator_.rank());
    aggregate.mean = mean_.span();
    aggregate.range = plan_.range();
    return aggregate;
}

// The mean says little of single updates where these cancel, as where silos pull a trained model to different sides: what a clipped round
// has shown to be needed is therefore remembered.
void Exchange::choose_next_range(const Aggregate& aggregate, double largest_of_slice) {
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

void Exchange::publish(std::span<float> global) {
    bytes_sent_ += clock_.measure("publish", [&] {
        if (gpus_) return gpus_->all_gather(slices_, global);
        if (!is_shared(global)) return all_gather(communicator_, slices_, global);
        return all_gather_shared(communicator_, *nodes_, slices_, sizeof(float), std::as_writable_bytes(global).data());
    });
}

}  // namespace silosum
