#include "federation/silo.hpp"

#include <cmath>

#include "base/error.hpp"
#include "base/phase_clock.hpp"
#include "base/process.hpp"
#include "data/batch_order.hpp"

namespace silosum {

namespace {

/// The next batches of a round, one after the other; ends: where each ends.
struct NextBatches {
    std::vector<std::uint32_t> rows;
    std::vector<std::size_t> ends;

    NextBatches(BatchOrder& order, std::size_t most) {
        while (ends.size() < most) {
            const auto batch = order.next();
            if (batch.empty()) return;
            rows.insert(rows.end(), batch.begin(), batch.end());
            ends.push_back(rows.size());
        }
    }
};

}  // namespace

Trainer::Trainer(std::span<const LayerSpec> layers, const Problem& problem, const std::string& loss, const LocalConfig& local,
                 bool drop_last, std::uint64_t seed, std::uint64_t rounds, std::size_t largest_batch, const Stream& stream)
    : local_(local),
      drop_last_(drop_last),
      schedule_(local.learning_rates(rounds)),
      seed_(seed),
      network_(layers, problem, loss, stream, largest_batch),
      y_(network_.layout().size()),
      x_(stream.allocate<float>(largest_batch * problem.features())),
      labels_(stream.allocate<std::int32_t>(problem.task == Task::regression ? 0 : largest_batch)),
      targets_(stream.allocate<float>(problem.task == Task::regression ? largest_batch : 0)) {
    if (!local_.keeps_state()) optimizer_ = network_.make_optimizer(local_.optimizer_settings());
}

void Trainer::use_models_here(bool copies) {
    models_are_here_ = true;
    y_ = network_.stream().allocate<float>(network_.layout().size());
    copy_ = Buffer<float>(copies && network_.stream().is_cuda() ? y_.size() : 0);
}

void Trainer::use_models_of_host() {
    if (!models_are_here_) return;
    models_are_here_ = false;
    y_ = Buffer<float>(network_.layout().size());
    copy_ = {};
}

void Trainer::give_in(Buffer<float> local) {
    if (!local.empty()) y_ = std::move(local);
}

void Trainer::give_in_own() {
    y_ = {};
    y_ = Buffer<float>(network_.layout().size());
}

void Trainer::load(std::span<const float> model) {
    if (models_are_here_) return network_.load_here(model);
    network_.load(model);
}

std::span<const float> Trainer::store() {
    if (!models_are_here_) {
        network_.store(y_.span());
        return {};
    }
    network_.store_here(y_.span());
    if (copy_.empty()) return {};
    network_.stream().download(std::span<const float>(y_.span()), copy_.span());
    network_.stream().wait();
    return copy_.span();
}

double Silo::weight_of(std::span<const std::uint32_t> rows, std::span<const float> class_weights) const {
    if (class_weights.empty()) return static_cast<double>(rows.size());
    double sum = 0;
    for (const auto row : rows) sum += static_cast<double>(class_weights[static_cast<std::size_t>(shard_.train.labels[row])]);
    return sum;
}

void Silo::take_step(Trainer& trainer, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> rows_here, Optimizer& optimizer,
                     double lr, const Random& dropout, std::uint64_t step) const {
    BatchPart part;
    if (trainer.group_ != nullptr) {
        const auto own = trainer.group_->part_of(rows);
        part = {.first = static_cast<std::size_t>(own.data() - rows.data()),
                .weight = weight_of(rows, trainer.network_.class_weights()),
                .others = trainer.group_};
        rows_here = rows_here.subspan(part.first, own.size());
    }
    const auto take = [&] {
        loader_->gather(rows_here, trainer.x_.data(), trainer.labels_.data(), trainer.targets_.data());
        const Batch batch{rows_here.size(), trainer.x_.data(), trainer.labels_.data(), trainer.targets_.data()};
        trainer.network_.train_step(batch, optimizer, lr, dropout, step, part);
    };
    if (trainer.group_ != nullptr) return take();  // which meets on the host within each step
    trainer.network_.stream().run_as_graph(take);
}

Update Silo::train(std::span<const float> global, Trainer& trainer, const Round& round, double deadline_s) {
    GroupTraining* const group = trainer.group_;
    if (group == nullptr) return train_here(global, trainer, round, deadline_s);
    return group->run([&] {
        group->begin(deadline_s);
        const Update update = train_here(global, trainer, round, deadline_s);
        group->compare(update.on_host());
        return update;
    });
}

Update Silo::train_here(std::span<const float> global, Trainer& trainer, const Round& round, double deadline_s) {
    const double start = wall_seconds();
    const LocalConfig& local = trainer.settings();
    Sequential& network = trainer.network_;
    const Stream& stream = network.stream();
    const auto round_number = static_cast<std::uint32_t>(round.number);
    const BatchPlan plan{.rows = shard_.train.rows, .batch_size = local.batch_size, .drop_last = trainer.drop_last_};
    BatchOrder order = local.steps > 0 ? BatchOrder::of_steps(plan, trainer.seed(), id_, round_number, local.steps)
                                       : BatchOrder::of_epochs(plan, trainer.seed(), id_, round_number, local.epochs);
    if (!trainer.optimizer_ && !optimizer_) optimizer_ = network.make_optimizer(local.optimizer_settings());
    Optimizer& optimizer = trainer.optimizer_ ? *trainer.optimizer_ : *optimizer_;
    if (trainer.optimizer_) optimizer.reset();
    if (!loader_) loader_ = std::make_shared<const Loader>(shard_.train, features_, stream);
    const Random dropout(trainer.seed(), Purpose::dropout, id_, round_number);
    const double lr = trainer.schedule().rate(round.number - 1);
    trainer.load(global);
    (void)network.take_losses();  // of a training that failed
    // A GPU works ahead: asking for losses would make it wait for the host in each step. A deadline is looked at after every step, and the
    // ranks of a group meet in each anyway.
    const std::size_t ahead = stream.is_cuda() && trainer.group_ == nullptr && deadline_s <= 0 ? Sequential::steps_ahead : 1;
    kernels::LossSum sum;
    std::uint64_t steps = 0;
    while (order.left() > 0) {
        const NextBatches next(order, ahead);
        if (trainer.rows_.size() < next.rows.size()) trainer.rows_ = stream.allocate<std::uint32_t>(next.rows.size());
        const std::span<std::uint32_t> rows = trainer.rows_.span().first(next.rows.size());
        stream.upload(std::span<const std::uint32_t>(next.rows), rows);
        std::size_t begin = 0;
        for (std::size_t i = 0; i < next.ends.size(); begin = next.ends[i++]) {
            const std::size_t samples = next.ends[i] - begin;
            take_step(trainer, std::span(next.rows).subspan(begin, samples), rows.subspan(begin, samples), optimizer, lr, dropout,
                      steps + i);
        }
        for (const auto& loss : network.take_losses()) {
            ++steps;
            require<RuntimeError>(
                std::isfinite(loss.loss),
                "silo \"{}\", round {}: its training diverged, the loss is {} at step {}; lower local.lr, set local.clip_norm, or "
                "standardise the features (data.standardise)",
                name(), round.number, loss.loss, steps);
            sum.loss += loss.loss;
            sum.weight += loss.weight;
        }
        if (trainer.group_ != nullptr ? trainer.group_->must_stop() : is_grace_over()) {
            throw Error(ExitCode::stopped,
                        fmt::format("round {} went on for longer than run.grace_s after a signal to stop", round.number));
        }
        const bool is_late = trainer.group_ != nullptr ? trainer.group_->is_late() : deadline_s > 0 && wall_seconds() - start > deadline_s;
        if (is_late) {
            last_loss_.reset();
            return {.silo = id_,
                    .weight = 0,
                    .local = trainer.y_.span(),
                    .global = global,
                    .steps = 0,
                    .numbers = {0, 0},
                    .copy = trainer.copy_.span()};
        }
    }
    const auto copy = trainer.store();
    last_loss_ = sum.loss / sum.weight;
    return {.silo = id_,
            .weight = shard_.train.rows,
            .local = trainer.y_.span(),
            .global = global,
            .steps = steps,
            .numbers = {sum.loss, sum.weight},
            .copy = copy};
}

std::vector<std::vector<float>> Silo::optimizer_state(const Trainer& trainer) const {
    std::vector<std::vector<float>> vectors;
    for (std::size_t i = 0; optimizer_ && i < optimizer_->vectors(); ++i) {
        vectors.emplace_back(trainer.network_.layout().size());
        trainer.network_.store_state(*optimizer_, i, vectors.back());
    }
    return vectors;
}

void Silo::set_optimizer_state(const Trainer& trainer, std::span<const std::vector<float>> vectors, std::uint64_t steps) {
    optimizer_ = trainer.network_.make_optimizer(trainer.settings().optimizer_settings());
    require<DataError>(vectors.size() == optimizer_->vectors(), "the checkpoint of silo \"{}\" has {} optimiser vectors, not {}", name(),
                       vectors.size(), optimizer_->vectors());
    for (std::size_t i = 0; i < vectors.size(); ++i) trainer.network_.load_state(*optimizer_, i, vectors[i]);
    optimizer_->set_steps(steps);
}

}  // namespace silosum
