// One party of the federation: its shard, and its local training. Several silos of a rank share one trainer in turns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "data/loader.hpp"
#include "data/shard.hpp"
#include "device/stream.hpp"
#include "federation/group_training.hpp"
#include "model/local_config.hpp"
#include "model/schedule.hpp"
#include "model/sequential.hpp"
#include "round/round.hpp"
#include "round/update.hpp"

namespace silosum {

/// The network of a rank and the buffers of one local training at a time. Holds nothing of a silo between rounds.
class Trainer {
public:
    /// The stream's threads must outlive it. largest_batch: samples of the largest batch of any hosted silo, or of this rank's part of it.
    Trainer(std::span<const LayerSpec> layers, const Problem& problem, const std::string& loss, const LocalConfig& local, bool drop_last,
            std::uint64_t seed, std::uint64_t rounds, std::size_t largest_batch, const Stream& stream);

    /// From now on the ranks of the group train every silo together; it must outlive the trainer.
    void share_with(GroupTraining& group) { group_ = &group; }

    /// From now on the models that trainings begin from, and their updates, are in the memory of the stream, or in that of the host as they
    /// are at first. copies: whether updates have a copy there all the same.
    void use_models_here(bool copies);
    void use_models_of_host();
    /// Updates of models of the host are given in this memory from now on; empty: where they are.
    void give_in(Buffer<float> local);
    /// Updates are given in memory of the trainer's own again.
    void give_in_own();
    /// Gives the network such a model.
    void load(std::span<const float> model);

    [[nodiscard]] Sequential& network() { return network_; }
    [[nodiscard]] const LocalConfig& settings() const { return local_; }
    [[nodiscard]] const Schedule& schedule() const { return schedule_; }
    [[nodiscard]] std::uint64_t seed() const { return seed_; }

private:
    friend class Silo;

    /// Puts the network's model into y_; gives the copy.
    std::span<const float> store();

    LocalConfig local_;
    bool drop_last_;
    Schedule schedule_;
    std::uint64_t seed_;
    Sequential network_;
    GroupTraining* group_ = nullptr;
    std::optional<Optimizer> optimizer_;  // for local.state = reset; with keep every silo has its own
    bool models_are_here_ = false;
    Buffer<float> y_;     // the silo's model after training, in layout order
    Buffer<float> copy_;  // of it, where one is wanted
    // Of the stream: one batch, and the rows of the next ones.
    Buffer<float> x_;
    Buffer<std::int32_t> labels_;
    Buffer<float> targets_;
    Buffer<std::uint32_t> rows_;
};

class Silo {
public:
    Silo(std::uint32_t id, Shard shard) : id_(id), shard_(std::move(shard)) {}

    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] const std::string& name() const { return shard_.silo; }
    [[nodiscard]] const Shard& shard() const { return shard_; }
    /// The map from stored values to what the network sees.
    [[nodiscard]] const Affine& features() const { return features_; }
    void set_features(Affine features) {
        features_ = std::move(features);
        loader_.reset();
    }

    /// Trains from the global model, which lies where the trainer's models do, on this silo's rows. The update refers to the trainer's
    /// buffers until the next call. update.numbers = {sum of weighted training losses, sum of their weights}. RuntimeError when the loss is
    /// not finite. deadline_s: seconds after which it stops after a step, and gives an update of weight 0; 0: never. Collective over the
    /// group with which the trainer is shared: the same update, or the same error, on all of its ranks.
    [[nodiscard]] Update train(std::span<const float> global, Trainer& trainer, const Round& round, double deadline_s = 0);

    /// Mean training loss of the last round it took part in; empty before, and where it missed its deadline.
    [[nodiscard]] std::optional<double> last_loss() const { return last_loss_; }

    /// Optimiser state between rounds (local.state = keep), in layout order; empty vectors otherwise or before the first round.
    [[nodiscard]] std::vector<std::vector<float>> optimizer_state(const Trainer& trainer) const;
    [[nodiscard]] std::uint64_t optimizer_steps() const { return optimizer_ ? optimizer_->steps() : 0; }
    /// As if it had never trained.
    void forget_optimizer() { optimizer_.reset(); }
    void set_optimizer_state(const Trainer& trainer, std::span<const std::vector<float>> vectors, std::uint64_t steps);

private:
    [[nodiscard]] Update train_here(std::span<const float> global, Trainer& trainer, const Round& round, double deadline_s);
    /// rows: of the batch, in the host's memory and in that of the stream.
    void take_step(Trainer& trainer, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> rows_here, Optimizer& optimizer,
                   double lr, const Random& dropout, std::uint64_t step) const;
    [[nodiscard]] double weight_of(std::span<const std::uint32_t> rows, std::span<const float> class_weights) const;

    std::uint32_t id_;
    Shard shard_;
    Affine features_;
    std::shared_ptr<const Loader> loader_;  // of the train rows, once it has trained
    std::optional<Optimizer> optimizer_;
    std::optional<double> last_loss_;
};

}  // namespace silosum
