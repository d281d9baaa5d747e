#include "observe/survival.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

class Note : public Observer {
public:
    explicit Note(std::function<void(const RoundReport&)> note) : note_(std::move(note)) {}
    void after_round(RoundReport& report) override { note_(report); }

private:
    std::function<void(const RoundReport&)> note_;
};

}  // namespace

Survival::Survival(Federation& federation, Stopping& stopping, std::uint64_t done) : federation_(federation), stopping_(stopping) {
    keep_first(done);
}

std::unique_ptr<Observer> Survival::first_observer() {
    return std::make_unique<Note>([this](const RoundReport& report) { note_published(report); });
}

std::unique_ptr<Observer> Survival::last_observer() {
    return std::make_unique<Note>([this](const RoundReport& report) { keep(report); });
}

void Survival::keep_first(std::uint64_t done) {
    const std::size_t size = federation_.global.values.size();
    nodes_.reset();
    copy_ = {};
    if (federation_.exchange->shares_memory()) {
        nodes_.emplace(federation_.world);
        copy_ = shared_buffer<float>(federation_.world, *nodes_, size);
    } else {
        succeed_on_all(federation_.world, [&] { copy_ = Buffer<float>(size); });
    }
    copy_model();
    kept_ = {.round = done, .range = federation_.exchange->next_range(), .stopping = stopping_.state(), .stop_reason = {}};
    before_ = kept_;
    published_.round = done;
    barrier(federation_.world);
}

void Survival::note_published(const RoundReport& report) {
    published_ = {.round = report.round.number, .sum = report.aggregate, .range = federation_.exchange->next_range()};
    published_.sum.mean = {};
}

void Survival::keep(const RoundReport& report) {
    copy_model();
    // Whoever comes out of this knows that all copies are whole; before, that nobody has touched the model again.
    barrier(federation_.world);
    before_ = std::exchange(kept_, {.round = report.round.number,
                                    .range = federation_.exchange->next_range(),
                                    .stopping = stopping_.state(),
                                    .stop_reason = report.stop_reason});
}

// Ranks that share a copy write a part of it each.
void Survival::copy_model() {
    const auto& values = federation_.global.values;
    std::size_t part = 0;
    std::size_t parts = 1;
    if (nodes_) {
        part = nodes_->place(federation_.world.rank());
        parts = nodes_->ranks_of(nodes_->of(federation_.world.rank())).size();
    }
    const std::size_t first = values.size() * part / parts;
    std::copy(values.begin() + first, values.begin() + values.size() * (part + 1) / parts, copy_.begin() + first);
}

Standing Survival::take_stock() {
    const Communicator& world = federation_.world;
    struct Place {
        std::uint64_t published = 0;
        std::uint64_t kept = 0;
    };
    const auto places = all_gather(world, Place{published_.round, kept_.round});
    Standing standing;
    for (const Place& place : places) standing.round = std::max(standing.round, place.published);
    standing.is_observed = std::all_of(places.begin(), places.end(), [&](const Place& place) { return place.kept == standing.round; });
    if (standing.is_observed) {
        standing.stop_reason = kept_.stop_reason;
        standing.range = kept_.range;
        if (world.rank() == 0) standing.model.assign(copy_.begin(), copy_.end());
        return standing;
    }
    // Somebody has it, and nobody has begun to change it: for that, all must have kept it.
    const auto source = static_cast<int>(
        std::find_if(places.begin(), places.end(), [&](const Place& place) { return place.published == standing.round; }) - places.begin());
    standing.sum = sum_from(source);
    std::array<double, 2> range{published_.range.value, published_.range.floor};
    std::array<std::uint64_t, 1> unclipped{published_.range.unclipped_rounds};
    broadcast(world, std::span<double>(range), source);
    broadcast(world, std::span<std::uint64_t>(unclipped), source);
    standing.range = {.value = range[0], .floor = range[1], .unclipped_rounds = unclipped[0]};
    stopping_.set_state(kept_.round == standing.round ? before_.stopping : kept_.stopping);

    const auto& values = federation_.global.values;
    standing.model.resize(values.size());
    if (world.rank() == source) std::copy(values.begin(), values.end(), standing.model.begin());
    broadcast(world, std::span<float>(standing.model), source);
    return standing;
}

Aggregate Survival::sum_from(int rank) {
    const Communicator& world = federation_.world;
    Aggregate sum = published_.sum;
    std::array<std::uint64_t, 6> counts{sum.weight_sum, sum.present, sum.trained, sum.steps, sum.clipped, sum.numbers.size()};
    broadcast(world, std::span<std::uint64_t>(counts), rank);
    sum.numbers.resize(counts[5]);
    std::array<double, 2> bounds{sum.range, sum.error_bound};
    broadcast(world, std::span<double>(bounds), rank);
    broadcast(world, std::span<double>(sum.numbers), rank);
    return {.mean = {},
            .weight_sum = counts[0],
            .present = counts[1],
            .trained = counts[2],
            .steps = counts[3],
            .clipped = counts[4],
            .range = bounds[0],
            .error_bound = bounds[1],
            .numbers = sum.numbers};
}

}  // namespace silosum
