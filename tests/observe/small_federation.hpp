// Five small silos that train a softmax regression, with observers to be added: what the tests of observers look at.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "algorithms/fed_avg.hpp"
#include "base/random.hpp"
#include "exchange/exact_sum.hpp"
#include "federation/federation.hpp"

namespace silosum {

inline constexpr std::size_t small_silos = 5;

struct SmallFederation {
    struct Settings {
        double lr = 0.1;
        std::string optimizer = "adam";  // whose state is kept from round to round
        std::size_t validation_rows = 6;
        std::size_t silos_per_round = 3;
        bool one_class_in_validation = false;
    };

    Settings settings;
    Communicator world = Communicator::world();
    Threads threads{1};
    LocalConfig local;
    std::unique_ptr<Federation> federation;

    SmallFederation() : SmallFederation(Settings{}) {}
    explicit SmallFederation(const Settings& chosen) : settings(chosen) {
        const Problem problem{.task = Task::classification, .classes = 2, .feature_shape = {3}};
        Options options;
        local.add_to(options);
        local.batch_size = 4;
        local.lr = settings.lr;
        local.optimizer = settings.optimizer;
        local.state = settings.optimizer == "adam" ? "keep" : "reset";
        Census census;
        std::vector<Silo> silos;
        for (std::size_t i = 0; i < small_silos; ++i) {
            const Shard shard = shard_of(i, problem);
            census.add(declaration_of(shard));
            if (host_of(i, world.size()) != world.rank()) continue;
            silos.emplace_back(static_cast<std::uint32_t>(i), shard);
        }
        const std::vector<LayerSpec> layers = parse_layers(std::vector<std::string>{"dense outputs"});
        Trainer trainer(layers, problem, "auto", local, false, 7, 100, 8, threads);
        Parameters global(trainer.network().layout());
        trainer.network().initialise(7, InitialValues::fan_in, global.values.span());
        ExchangeSetup setup{.parameters = global.values.size(),
                            .hosted = {},
                            .silos_per_round = settings.silos_per_round,
                            .largest_shard = 64,
                            .numbers = 2,
                            .names = {}};
        for (const Silo& silo : silos) setup.hosted.push_back(silo.id());
        const SelectionConfig selection{.silos_per_round = settings.silos_per_round};
        federation = std::make_unique<Federation>(Federation{.world = world,
                                                             .ranks = std::make_unique<RankGroups>(world, 1),
                                                             .census = std::move(census),
                                                             .silos = std::move(silos),
                                                             .training = nullptr,
                                                             .trainer = std::move(trainer),
                                                             .global = std::move(global),
                                                             .selection = Selection(selection, small_silos, 7),
                                                             .group = nullptr,
                                                             .sums = make_plain_sums(world),
                                                             .exchange = std::make_unique<ExactSum>(world, ExchangeConfig{}, setup),
                                                             .algorithm = std::make_unique<FedAvg>(1.0),
                                                             .observers = {},
                                                             .clock = {}});
    }

    template <class T, class... Arguments>
    T& observe_with(Arguments&&... arguments) {
        auto observer = std::make_unique<T>(std::forward<Arguments>(arguments)...);
        T& place = *observer;
        federation->observers.push_back(std::move(observer));
        return place;
    }
    Outcome train(std::uint64_t first, std::uint64_t last) {
        return run_synchronous(*federation, {.number = first, .total = last, .participants = {}});
    }
    [[nodiscard]] std::string sha256() const { return federation->global.sha256(); }

    // Two clouds that overlap, each silo with more rows than the one before.
    Shard shard_of(std::size_t silo, const Problem& problem) const {
        Shard shard;
        shard.silo = "silo " + std::to_string(silo);
        shard.path = "silo-" + std::to_string(silo) + ".h5";
        shard.problem = problem;
        fill(shard.train, silo, 0, 12 + 4 * silo);
        fill(shard.validation, silo, 1, settings.validation_rows);
        if (settings.one_class_in_validation) {
            shard.validation.labels.assign(shard.validation.rows, 1);
        } else {
            fill(shard.test, silo, 2, 5 + silo);
        }
        shard.fingerprint = fingerprint_of(shard);
        return shard;
    }

private:
    static void fill(Split& split, std::size_t silo, std::uint32_t which, std::size_t rows) {
        const Random random(11, Purpose::partition, static_cast<std::uint32_t>(silo), which);
        split.rows = rows;
        split.features = 3;
        for (std::size_t row = 0; row < rows; ++row) {
            const auto label = static_cast<std::int32_t>(random.word(row * 4 + 3) & 1U);
            for (std::size_t f = 0; f < 3; ++f) {
                const double noise = static_cast<double>(random.word(row * 4 + f)) / 0x1p31 - 1;
                split.floats.push_back(static_cast<float>(2 * noise + (label == 1 ? 1 : -1)));
            }
            split.labels.push_back(label);
        }
    }
};

}  // namespace silosum
