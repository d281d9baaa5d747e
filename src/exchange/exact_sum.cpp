#include "exchange/exact_sum.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "comm/agreement.hpp"

namespace silosum {

void ExactSum::begin(const Round& round) {
    Exchange::begin(round);
    arrival_ = {};
    added_ = 0;
    clipped_ = 0;
    not_finite_ = nobody;
    largest_mean_ = 0;
}

void ExactSum::add(const Update& update) {
    if (const auto problem = error_of([&] {
            check(update, added_);
            if (weight_of(update) > 0 && ranks_.is_first())
                numbers_.add(update.numbers, fmt::format("{}, round {}: a result of its training", text_of(update.silo), round_));
        })) {
        remember(*problem);
        return;
    }
    const std::uint64_t weight = weight_of(update);
    const std::uint64_t one = ranks_.is_first() ? 1 : 0;  // a group counts its silos once
    ++added_;
    arrival_.present += one;
    if (update.weight == 0 && ranks_.is_first()) {
        fmt::print(stderr, "silosum: warning: {} gives nothing to round {}: it did not end its training within local.deadline_s\n",
                   text_of(update.silo), round_);
    }
    if (weight == 0) return;
    arrival_.steps += one * update.steps;
    arrival_.trained += one;
    arrival_.weight += one * weight;
    arrival_.gives = 1;
    arrival_.silo = update.silo;
    arrival_.is_shared = updates_ && updates_->is_own(update.local) && is_shared(update.global) ? 1 : 0;

    Waiting waiting = waiting_for(update, weight);
    const bool streams = expected_ == 1;
    clock_.measure("encode", [&] {
        if (config_.range == "agreed") {
            const double largest = ring_->largest_difference({.local = update.local, .global = update.global});
            if (!std::isfinite(largest)) return remember_not_finite(update.silo, 0);
            if (largest > arrival_.largest) {
                arrival_.largest = largest;
                arrival_.largest_of = update.silo;
            }
            if (!streams) {
                waiting.copy = stream_.allocate<float>(setup_.parameters);
                stream_.copy(update.local, waiting.copy.span());
                waiting.local = waiting.copy.span();
            }
        } else if (!streams) {
            return encode(waiting);
        }
        waiting_.push_back(std::move(waiting));
    });
}

void ExactSum::fail(std::uint32_t /*silo*/, const Error& error) {
    remember(error);
}

void ExactSum::encode(const Waiting& update) {
    const auto count = ring_->add(with_settings(update));
    clipped_ += count.clipped;
    if (count.not_finite > 0) remember_not_finite(update.silo, count.not_finite);
}

void ExactSum::remember_not_finite(std::uint32_t silo, std::uint64_t coordinates) {
    // Ranks that see different coordinates of an update should say one thing.
    remember(RuntimeError(divergence(silo, ranks_.each() == 1 ? coordinates : 0)));
}

void ExactSum::remember(const Error& error) {
    arrival_.failed = 1;
    if (!error_) error_ = error;  // the first cause; what follows is often its effect
}

Aggregate ExactSum::finish(const Round& round) {
    // Everybody meets here: ranks that are done early wait in this call, and the wire's time below is free of their waiting.
    if (updates_) updates_->begin();
    std::atomic_thread_fence(std::memory_order_seq_cst);  // for those who read this rank's update
    const auto arrivals = clock_.measure("wait", [&] { return all_gather(communicator_, arrival_); });
    if (std::any_of(arrivals.begin(), arrivals.end(), [](const Arrival& a) { return a.failed != 0; }))
        agree_on_error(communicator_, error_);

    Aggregate aggregate = empty_aggregate();
    for (const Arrival& arrival : arrivals) {
        aggregate.weight_sum += arrival.weight;
        aggregate.present += arrival.present;
        aggregate.trained += arrival.trained;
        aggregate.steps += arrival.steps;
    }
    // From here to the end all ranks hold the same values, so a refusal needs no further word between them.
    const std::size_t expected = round.participants.size() - lost_of(round);
    if (aggregate.present != expected) {
        throw AgreedError(ExitCode::runtime,
                          fmt::format("round {}: {} updates came for {} participants", round.number, aggregate.present, expected));
    }
    if (config_.range == "agreed") agree_on_range(arrivals);
    if (aggregate.is_refused()) {
        stream_.fill_with_zeros(mean_.span());
    } else {
        const bool all_are_shared =
            std::all_of(arrivals.begin(), arrivals.end(), [](const Arrival& a) { return a.gives == 0 || a.is_shared != 0; });
        if (updates_ && all_are_shared) {
            sum_updates(arrivals, aggregate);
        } else {
            sum_words(arrivals, aggregate);
        }
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
    for (int group = 0; group < ranks_.count(); ++group) {
        gives.push_back(arrivals[static_cast<std::size_t>(ranks_.rank_of(group, ranks_.position()))].gives != 0);
    }

    const auto weight_sum = static_cast<double>(aggregate.weight_sum);
    const RingResult result = ring_->reduce(gives, streamed, plan_.unit(), weight_sum, aggregate.mean, clock_);
    clipped_ += result.count.clipped;
    if (result.count.not_finite > 0) remember_not_finite(waiting_.front().silo, result.count.not_finite);
    largest_mean_ = result.largest;
    bytes_sent_ += result.bytes_sent;
}

void ExactSum::sum_updates(const std::vector<Arrival>& arrivals, Aggregate& aggregate) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    std::vector<kernels::SummedUpdate> updates;
    std::vector<std::uint32_t> silos;
    for (std::size_t rank = 0; rank < arrivals.size(); ++rank) {
        const Arrival& arrival = arrivals[rank];
        if (arrival.gives == 0) continue;
        silos.push_back(static_cast<std::uint32_t>(arrival.silo));
        updates.push_back({.local = updates_->of_rank(static_cast<int>(rank)), .factor = plan_.factor(arrival.weight)});
    }
    largest_mean_ = updates_->add_up(config_.ring_bits, updates, shared_model().data(), plan_.range(), plan_.unit(),
                                     static_cast<double>(aggregate.weight_sum), clock_);
    for (std::size_t u = 0; u < updates.size(); ++u) {
        clipped_ += updates[u].count.clipped;
        if (updates[u].count.not_finite > 0) not_finite_ = std::min<std::uint64_t>(not_finite_, silos[u]);
    }
    if (arrival_.gives != 0) bytes_sent_ += (setup_.parameters - aggregate.mean.size()) * sizeof(float);
}

// What is known only after the words: whether an update that was encoded meanwhile was finite, how much was clipped, and the exact numbers.
void ExactSum::sum_tail(Aggregate& aggregate) {
    clock_.measure("wire", [&] {
        std::atomic_thread_fence(std::memory_order_seq_cst);  // for those to whose slice this rank has written
        std::vector<std::uint64_t> tail{error_ || not_finite_ != nobody ? 1U : 0U, clipped_};
        tail.insert(tail.end(), numbers_.words().begin(), numbers_.words().end());
        all_reduce_sum(communicator_, std::span<std::uint64_t>(tail));
        if (tail[0] > 0) {
            // Which rank has seen an update that is not finite, and whether it has seen all of them, depends on who helped whom.
            std::vector<std::uint64_t> lowest{~not_finite_};
            all_reduce_max(communicator_, std::span<std::uint64_t>(lowest));
            if (~lowest[0] != nobody) throw AgreedError(ExitCode::runtime, divergence(static_cast<std::uint32_t>(~lowest[0]), 0));
            agree_on_error(communicator_, error_);
        }
        std::atomic_thread_fence(std::memory_order_seq_cst);  // others may have written to this rank's slice
        aggregate.clipped = tail[1];
        std::copy(tail.begin() + 2, tail.end(), numbers_.words().begin());
        aggregate.numbers = numbers_.values();
    });
}

}  // namespace silosum
