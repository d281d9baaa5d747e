// The configuration of a run: the settings of every part, declared once, read from a file and flags, checked together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "algorithms/algorithm.hpp"
#include "base/options.hpp"
#include "data/data_config.hpp"
#include "exchange/exact_sum.hpp"
#include "federation/selection.hpp"
#include "model/local_config.hpp"
#include "model/model_config.hpp"
#include "observe/checkpoint.hpp"
#include "observe/evaluation.hpp"

namespace silosum {

struct RunSettings {
    std::string dir;
    std::uint64_t rounds = 0;
    std::uint64_t seed = 0;
    std::string resume;
    bool overwrite = false;
    std::uint64_t threads = 1;
    std::string isa;
    std::string device;
    std::string progress;
    std::string warm_start;
    std::string on_dead_rank;
    std::uint64_t min_silos = 1;
    std::vector<std::string> rehearse_death;
    [[nodiscard]] bool survives() const { return on_dead_rank == "continue"; }
    double grace_s = 0;
    bool strict_permissions = false;

    void add_to(Options& options);
};

struct RunConfig {
    RunSettings run;
    DataConfig data;
    ModelConfig model;
    LocalConfig local;
    AlgorithmConfig algorithm;
    SelectionConfig selection;
    ExchangeConfig exchange;
    EvaluationConfig evaluation;
    CheckpointConfig checkpoint;
    Options options;

    RunConfig();
    RunConfig(const RunConfig&) = delete;  // options point into the fields
    RunConfig& operator=(const RunConfig&) = delete;

    /// Reads file and flags; every problem in one UsageError. `run.dir` defaults to runs/NAME of the file.
    void load(const std::filesystem::path& file, const std::vector<std::string>& flags);
    /// What decides the bits of the model, as text: two runs that agree in it and in their data may continue each other.
    [[nodiscard]] std::string identity() const;
};

}  // namespace silosum
