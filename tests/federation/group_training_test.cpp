// Ranks that train silos together: the same bits for any number of groups, close to one rank with whole batches, and one error for all
// where any rank of a group fails.
#include "federation/group_training.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "algorithms/fed_avg.hpp"
#include "base/text.hpp"
#include "comm/collectives.hpp"
#include "exchange/exact_sum.hpp"
#include "federation/federation.hpp"

namespace silosum {
namespace {

const Problem problem{.task = Task::classification, .classes = 3, .feature_shape = {5}};
const std::vector<std::size_t> rows_of_silos{23, 40, 17, 2};

Shard shard_of(std::size_t silo) {
    const Random random(11, Purpose::split, static_cast<std::uint32_t>(silo));
    Shard shard;
    shard.silo = std::to_string(silo);
    shard.problem = problem;
    shard.train.rows = rows_of_silos[silo];
    shard.train.features = 5;
    for (std::size_t row = 0; row < shard.train.rows; ++row) {
        for (std::size_t f = 0; f < 5; ++f) shard.train.floats.push_back(static_cast<float>(random.normal(row * 8 + f)));
        shard.train.labels.push_back(static_cast<std::int32_t>(random.below(row * 8 + 7, 3)));
    }
    return shard;
}

struct Setting {
    std::string layers = "dense 6, tanh, dropout 0.3, dense outputs";
    std::uint64_t batch_size = 7;
    std::string optimizer = "sgd";
    double momentum = 0;
    double clip_norm = 0;
    std::string transport = "auto";
    std::uint64_t rounds = 3;
};

// A model after some rounds, on the first `ranks` ranks in groups of `each`; nothing on the others.
std::optional<std::vector<float>> federated(const Communicator& all, int ranks, int each, const Setting& setting) {
    const Communicator world = all.split(all.rank() < ranks ? 0 : 1);
    if (all.rank() >= ranks) return std::nullopt;
    const Threads threads(1);
    LocalConfig local;
    Options options;
    local.add_to(options);
    local.batch_size = setting.batch_size;
    local.lr = 0.1;
    local.optimizer = setting.optimizer;
    local.momentum = setting.momentum;
    local.clip_norm = setting.clip_norm;
    auto groups = std::make_unique<RankGroups>(world, each);
    std::vector<Silo> silos;
    for (std::size_t i = 0; i < rows_of_silos.size(); ++i) {
        if (host_of(i, groups->count()) == groups->group()) silos.emplace_back(static_cast<std::uint32_t>(i), shard_of(i));
    }
    Trainer trainer(parse_layers(split(setting.layers, ',')), problem, "auto", local, false, 7, setting.rounds, 40, threads);
    trainer.network().set_class_weights({1, 2, 0.5F});
    Parameters global(trainer.network().layout());
    trainer.network().initialise(7, InitialValues::fan_in, global.values.span());
    std::unique_ptr<GroupTraining> training;
    if (each > 1) {
        training = std::make_unique<GroupTraining>(*groups, trainer.network().gradient_size(), setting.transport, 4096);
        trainer.share_with(*training);
    }
    ExchangeSetup setup{.parameters = global.values.size(),
                        .hosted = {},
                        .silos_per_round = rows_of_silos.size(),
                        .largest_shard = 40,
                        .numbers = 2,
                        .ranks_per_silo = each};
    for (const Silo& silo : silos) setup.hosted.push_back(silo.id());
    ExchangeConfig exchange;
    exchange.ring_bits = 64;
    exchange.transport = setting.transport;
    Federation fed{.world = world,
                   .ranks = std::move(groups),
                   .census = {},
                   .silos = std::move(silos),
                   .training = std::move(training),
                   .trainer = std::move(trainer),
                   .global = std::move(global),
                   .selection = Selection({}, rows_of_silos.size(), 7),
                   .group = nullptr,
                   .sums = make_plain_sums(world, each),
                   .exchange = std::make_unique<ExactSum>(world, exchange, setup),
                   .algorithm = std::make_unique<FedAvg>(1.0),
                   .observers = {},
                   .clock = {}};
    run_synchronous(fed, {.number = 1, .total = setting.rounds, .participants = {}});
    return std::vector<float>(fed.global.values.begin(), fed.global.values.end());
}

class GroupTrainingTest : public testing::Test {
protected:
    Communicator all = Communicator::world();

    [[nodiscard]] std::vector<int> sizes() const {
        std::vector<int> sizes;
        for (const int each : {2, 3, 4}) {
            if (each <= all.size()) sizes.push_back(each);
        }
        return sizes;
    }
};

TEST_F(GroupTrainingTest, HasTheSameBitsForAnyNumberOfGroups) {
    // A batch of 2 is less than a group of 3; the silo of 2 rows is less than one of 4 in any case.
    for (const Setting& setting : {Setting{}, Setting{.batch_size = 2, .momentum = 0.9, .clip_norm = 0.5},
                                   Setting{.batch_size = 0, .optimizer = "adam", .clip_norm = 0.1}}) {
        for (const int each : sizes()) {
            Setting by_messages = setting;
            by_messages.transport = "messages";
            const auto one_group = federated(all, each, each, by_messages);
            for (int ranks = each; ranks <= all.size(); ranks += each) {
                const auto more = federated(all, ranks, each, setting);
                if (!one_group || !more) continue;
                EXPECT_EQ(*more, *one_group) << ranks << " ranks in groups of " << each;
            }
        }
    }
}

// Of the silo with most steps, each of the 6 of a round adds up at most 7 slopes, once over the batch and once over its parts; each
// addition is within half an ulp of weights and slopes below 1, and momentum 0.5 repeats it at most once: 6 * 2 * 7 * 2 * 2^-25 a round. A
// step of lr 0.1 on so small a model stretches a difference by less than a twentieth: by less than e in all 18 steps.
TEST_F(GroupTrainingTest, IsCloseToOneRankWithWholeBatches) {
    for (const Setting& setting : {Setting{}, Setting{.momentum = 0.5}, Setting{.clip_norm = 0.3}}) {
        const auto alone = federated(all, 1, 1, setting);
        for (const int each : sizes()) {
            const auto together = federated(all, each, each, setting);
            if (!alone) continue;
            const double tolerance = static_cast<double>(setting.rounds) * 6 * 2 * 7 * 2 * 0x1p-25 * std::exp(1.0);
            ASSERT_LT(tolerance, 1e-4) << "or it would not see a wrong sample";
            for (std::size_t i = 0; i < alone->size(); ++i) {
                EXPECT_NEAR((*together)[i], (*alone)[i], tolerance * std::max(1.0F, std::fabs((*alone)[i]))) << i;
            }
        }
    }
}

// Whichever meeting the others are in: at the beginning, at a gradient, at the end.
TEST_F(GroupTrainingTest, WhatGoesWrongOnOneRankIsThrownOnAll) {
    const RankGroups groups(all, all.size());
    GroupTraining training(groups, 10, "auto", 4096);
    for (const int failing : {0, all.size() - 1}) {
        for (const int where : {0, 1, 2, 3}) {
            std::string message;
            ExitCode code = ExitCode::done;
            try {
                training.run([&] {
                    const auto fails_at = [&](int place) {
                        if (where == place && all.rank() == failing) throw DataError("a row is bad");
                    };
                    std::vector<float> gradient(10, 1.0F);
                    fails_at(0);
                    training.begin(0);
                    fails_at(1);
                    (void)training.add_up({.loss = 1, .weight = 1}, gradient);
                    fails_at(2);
                    (void)training.add_up({.loss = 1, .weight = 1}, gradient);
                    fails_at(3);
                    training.compare(gradient);
                });
            } catch (const AgreedError& error) {
                message = error.what();
                code = error.code();
            }
            EXPECT_EQ(message, "a row is bad") << "rank " << failing << ", place " << where;
            EXPECT_EQ(code, ExitCode::data);
        }
    }
}

TEST_F(GroupTrainingTest, GradientsAndLossesAreAddedAndLatenessIsShared) {
    const RankGroups groups(all, all.size());
    GroupTraining training(groups, 3, "auto", 4096);
    training.run([&] {
        training.begin(all.rank() == 0 ? 1e-9 : 0);  // the first rank's counts
        std::vector<float> gradient{1, static_cast<float>(all.rank()), -1};
        const auto loss = training.add_up({.loss = 2, .weight = 0.5, .correct = 3}, gradient);
        const auto ranks = static_cast<float>(all.size());
        EXPECT_EQ(gradient, (std::vector<float>{ranks, ranks * (ranks - 1) / 2, -ranks}));
        EXPECT_EQ(loss.loss, 2.0 * all.size());
        EXPECT_EQ(loss.weight, 0.5 * all.size());
        EXPECT_EQ(loss.correct, 3U * static_cast<unsigned>(all.size()));
        EXPECT_TRUE(training.is_late());
        training.begin(all.rank() == 0 ? 0 : 1e-9);
        (void)training.add_up({}, gradient);
        EXPECT_FALSE(training.is_late());
    });
}

TEST_F(GroupTrainingTest, DifferentModelsInAGroupAreFoundOut) {
    const RankGroups groups(all, all.size());
    GroupTraining training(groups, 3, "auto", 4096);
    std::vector<float> model{1, 2, 3};
    EXPECT_NO_THROW(training.compare(model));
    if (all.size() == 1) return;
    const bool differs = all.rank() == all.size() - 1;
    if (differs) model[1] = std::nextafterf(model[1], 3);
    EXPECT_THROW(training.run([&] { training.compare(model); }), AgreedError);
    model = {1, 2, 3};
    if (differs) std::swap(model[0], model[2]);
    EXPECT_THROW(training.run([&] { training.compare(model); }), AgreedError);
}

TEST_F(GroupTrainingTest, PartsOfABatchCoverItInOrder) {
    const RankGroups groups(all, all.size());
    const GroupTraining training(groups, 3, "auto", 4096);
    for (const std::size_t size : {1, 2, 3, 5, 32, 33}) {
        std::vector<std::uint32_t> rows(size);
        for (std::size_t i = 0; i < size; ++i) rows[i] = static_cast<std::uint32_t>(100 + i);
        const auto part = training.part_of(rows);
        std::string text;
        for (const auto row : part) text += std::to_string(row) + " ";
        std::string whole;
        for (const auto& of_rank : all_gather_text(all, text)) whole += of_rank;
        std::string expected;
        for (const auto row : rows) expected += std::to_string(row) + " ";
        EXPECT_EQ(whole, expected);
        EXPECT_LE(part.size(), size / static_cast<std::size_t>(all.size()) + 1);
    }
}

}  // namespace
}  // namespace silosum
