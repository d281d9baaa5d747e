#include "federation/census.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "io/staged_file.hpp"

namespace silosum {

namespace {

nlohmann::json as_json(const Declaration& declaration) {
    const auto& [silo, problem, class_names, feature_names] = declaration;
    return {{"name", silo.name},
            {"file", silo.file},
            {"fingerprint", silo.fingerprint},
            {"train", silo.train},
            {"validation", silo.validation},
            {"test", silo.test},
            {"task", to_string(problem.task)},
            {"classes", problem.classes},
            {"feature_shape", problem.feature_shape},
            {"class_names", class_names},
            {"feature_names", feature_names}};
}

Declaration declaration_from(const nlohmann::json& json) {
    return {.silo = {json["name"], json["file"], json["fingerprint"], json["train"], json["validation"], json["test"]},
            .problem = {task_from_name(json["task"]), json["classes"], json["feature_shape"]},
            .class_names = json["class_names"],
            .feature_names = json["feature_names"]};
}

void hide_sizes(SiloEntry& silo) {
    for (auto split : {&SiloEntry::train, &SiloEntry::validation, &SiloEntry::test}) silo.*split = std::min<std::uint64_t>(silo.*split, 1);
}

Shard read_shard_of_silo(const std::filesystem::path& file, const std::filesystem::path& stage) {
    require<DataError>(std::filesystem::exists(file),
                       "data.shards: there is no file {}, as seen from this rank; make shards with `silosum shard`", file.string());
    if (stage.empty()) return read_shard(file);
    const StagedFile copy(file, stage);
    Shard shard = read_shard(copy.path());
    shard.path = file;
    return shard;
}

// A path may lead to other files on other nodes.
void check_same_shards(const Communicator& world, const RankGroups& ranks, const std::vector<Silo>& hosted) {
    std::string mine;
    for (const Silo& silo : hosted) mine += silo.name() + "\n" + silo.shard().fingerprint + "\n";
    const auto texts = all_gather_text(ranks.own(), mine);
    succeed_on_all(world, [&] {
        require<DataError>(mine == texts.front(),
                           "the shards of this rank are not those of rank {}, with which it trains a silo: put the same files on all nodes",
                           ranks.rank_of(ranks.group()));
    });
}

}  // namespace

std::string difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    if (a.size() != b.size()) return fmt::format("there were {}, now {}", a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] != b[i]) return fmt::format("number {} was \"{}\", now \"{}\"", i, a[i], b[i]);
    }
    return "";
}

Declaration declaration_of(const Shard& shard) {
    return {.silo = {shard.silo, shard.path.string(), shard.fingerprint, shard.train.rows, shard.validation.rows, shard.test.rows},
            .problem = shard.problem,
            .class_names = shard.class_names,
            .feature_names = shard.feature_names};
}

void Census::add(const Declaration& other) {
    totals.train += other.silo.train;
    totals.validation += other.silo.validation;
    totals.test += other.silo.test;
    if (silos.empty()) {
        problem = other.problem;
        class_names = other.class_names;
        feature_names = other.feature_names;
        silos.push_back(other.silo);
        return;
    }
    const char* remedy = "cut all shards from one data set";
    const std::string& first = silos.front().file;
    require<DataError>(problem == other.problem, "the silos do not fit together: {} is {}, but {} is {}; {}", first, to_string(problem),
                       other.silo.file, to_string(other.problem), remedy);
    const auto check_names = [&](const char* what, const std::vector<std::string>& mine, const std::vector<std::string>& theirs) {
        const std::string found = difference(mine, theirs);
        require<DataError>(found.empty(), "the silos do not fit together: {} has other names of {} than {}: {}; {}", other.silo.file, what,
                           first, found, remedy);
    };
    check_names("classes", class_names, other.class_names);
    check_names("features", feature_names, other.feature_names);
    for (const auto& silo : silos) {
        require<DataError>(silo.name != other.silo.name, "{} and {} both say that they are of silo \"{}\"; give silos different names",
                           silo.file, other.silo.file, other.silo.name);
    }
    silos.push_back(other.silo);
}

void Census::leave_out(const std::vector<std::uint32_t>& lost) {
    for (const std::uint32_t silo : lost) silos[silo].train = silos[silo].validation = silos[silo].test = 0;
}

std::uint64_t Census::largest_train() const {
    std::uint64_t largest = 0;
    for (const auto& silo : silos) largest = std::max(largest, silo.train);
    return largest;
}

std::vector<bool> Census::silos_with(std::uint64_t SiloEntry::*split) const {
    std::vector<bool> with;
    for (const auto& silo : silos) with.push_back(silo.*split > 0);
    return with;
}

RowTotals sum_rows(Sums& sums, const Census& census, const std::vector<Silo>& hosted) {
    // Of a split that few silos have, the total would tell the size of one.
    const auto told = [&](std::uint64_t SiloEntry::*split, std::uint64_t count) {
        return sums.are_enough(census.silos_with(split)) ? count : 0;
    };
    WordsOfSilos rows;
    for (const Silo& silo : hosted) {
        const Shard& shard = silo.shard();
        rows[silo.id()] = {told(&SiloEntry::train, shard.train.rows), told(&SiloEntry::validation, shard.validation.rows),
                           told(&SiloEntry::test, shard.test.rows)};
    }
    const auto total = sums.sum(row_totals, 3, rows);
    return {total[0], total[1], total[2]};
}

Census take_census(const Communicator& world, const RankGroups& ranks, const std::vector<std::filesystem::path>& files,
                   std::vector<Silo>& hosted, bool hides_sizes, bool hides_fingerprints, const std::filesystem::path& stage) {
    nlohmann::json mine = nlohmann::json::object();
    succeed_on_all(world, [&] {
        for (std::size_t i = 0; i < files.size(); ++i) {
            if (host_of(i, ranks.count()) != ranks.group()) continue;
            hosted.emplace_back(static_cast<std::uint32_t>(i), read_shard_of_silo(files[i], stage));
            Declaration declaration = declaration_of(hosted.back().shard());
            if (hides_sizes) hide_sizes(declaration.silo);
            if (hides_fingerprints) declaration.silo.fingerprint.clear();
            if (ranks.is_first()) mine[std::to_string(i)] = as_json(declaration);
        }
    });
    check_same_shards(world, ranks, hosted);
    std::vector<Declaration> declarations(files.size());
    const auto texts = all_gather_text(world, mine.dump());
    succeed_on_all(world, [&] {
        for (int rank = 0; rank < world.size(); ++rank) {
            const auto json = nlohmann::json::parse(texts[static_cast<std::size_t>(rank)]);
            for (const auto& [text, declaration] : json.items()) {
                const std::size_t id = std::stoul(text);
                require<RuntimeError>(id < declarations.size() && ranks.rank_of(host_of(id, ranks.count())) == rank,
                                      "rank {} declares a silo {}, which it does not host", rank, text);
                declarations[id] = declaration_from(declaration);
            }
        }
    });
    Census census;
    succeed_on_all(world, [&] {
        for (const auto& declaration : declarations) census.add(declaration);
    });
    return census;
}

}  // namespace silosum
