// The list of algorithms: a new one is a file in this folder and a row here.
#include <algorithm>
#include <array>

#include "algorithms/algorithm.hpp"
#include "algorithms/fed_avg.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

const std::array rows{
    AlgorithmRow{"fedavg", "weighted mean of the silos' updates, McMahan et al. 2017",
                 [](const AlgorithmConfig& config) -> std::unique_ptr<Algorithm> { return std::make_unique<FedAvg>(config.lr); }},
};

std::vector<std::string> names() {
    std::vector<std::string> list;
    for (const auto& row : rows) list.push_back(row.name);
    return list;
}

}  // namespace

std::span<const AlgorithmRow> algorithm_list() {
    return rows;
}

void AlgorithmConfig::add_to(Options& options) {
    std::string help = "How silos train and the global model moves:";
    for (const auto& row : rows) help += " " + row.name + " (" + row.help + ")";
    options.add("algorithm.name", &name, "fedavg", help + ".").one_of(names());
    options.add("algorithm.lr", &lr, 1.0, above(0), "Server learning rate: the model moves by lr times the mean update.");
}

std::unique_ptr<Algorithm> make_algorithm(const AlgorithmConfig& config) {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const AlgorithmRow& row) { return row.name == config.name; });
    require(found != rows.end(), "{}", unknown_name("algorithm", config.name, names()));
    return found->make(config);
}

}  // namespace silosum
