#include "federation/census.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

nlohmann::json entry_json(const Silo& silo) {
    const Shard& shard = silo.shard();
    return {{"id", silo.id()},
            {"name", shard.silo},
            {"file", shard.path.string()},
            {"fingerprint", shard.fingerprint},
            {"train", shard.train.rows},
            {"validation", shard.validation.rows},
            {"test", shard.test.rows},
            {"task", to_string(shard.problem.task)},
            {"classes", shard.problem.classes},
            {"feature_shape", shard.problem.feature_shape},
            {"class_names", shard.class_names}};
}

void check_together(const nlohmann::json& first, const nlohmann::json& other) {
    for (const char* what : {"task", "classes", "feature_shape", "class_names"}) {
        require<DataError>(first[what] == other[what], "silos do not fit together: {} is {} in {}, but {} in {}", what, first[what].dump(),
                           first["file"].get<std::string>(), other[what].dump(), other["file"].get<std::string>());
    }
}

}  // namespace

std::uint64_t Census::largest_train() const {
    std::uint64_t largest = 0;
    for (const auto& silo : silos) largest = std::max(largest, silo.train);
    return largest;
}

std::uint64_t Census::rows(std::uint64_t SiloEntry::*split) const {
    std::uint64_t sum = 0;
    for (const auto& silo : silos) sum += silo.*split;
    return sum;
}

Census take_census(const Communicator& world, const std::vector<std::filesystem::path>& files, std::vector<Silo>& hosted) {
    nlohmann::json mine = nlohmann::json::array();
    succeed_on_all(world, [&] {
        for (std::size_t i = 0; i < files.size(); ++i) {
            if (host_of(i, world.size()) != world.rank()) continue;
            hosted.emplace_back(static_cast<std::uint32_t>(i), read_shard(files[i]));
            mine.push_back(entry_json(hosted.back()));
        }
    });
    std::vector<nlohmann::json> entries(files.size());
    for (const auto& text : all_gather_text(world, mine.dump())) {
        for (auto& entry : nlohmann::json::parse(text)) entries[entry["id"].get<std::size_t>()] = entry;
    }
    Census census;
    succeed_on_all(world, [&] {
        std::set<std::string> names;
        for (const auto& entry : entries) {
            check_together(entries.front(), entry);
            const auto name = entry["name"].get<std::string>();
            require<DataError>(names.insert(name).second, "two shards say that they are of silo \"{}\", one is {}; silos need different names",
                               name, entry["file"].get<std::string>());
            census.silos.push_back({name, entry["file"], entry["fingerprint"], entry["train"], entry["validation"], entry["test"]});
        }
    });
    const auto& first = entries.front();
    census.problem = {task_from_name(first["task"]), first["classes"], first["feature_shape"].get<std::vector<std::size_t>>()};
    census.class_names = first["class_names"].get<std::vector<std::string>>();
    return census;
}

}  // namespace silosum
