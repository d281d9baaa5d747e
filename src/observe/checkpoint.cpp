#include "observe/checkpoint.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "io/atomic_file.hpp"
#include "io/hdf5.hpp"

namespace silosum {

namespace {

constexpr int checkpoint_version = 1;
constexpr const char* global_file = "global.h5";

std::string silo_file(std::uint32_t id) { return fmt::format("silo-{:04}.h5", id); }
std::string folder_name(std::uint64_t round) { return fmt::format("round-{:06}", round); }

// Complete checkpoints below the folder, newest first.
std::vector<std::filesystem::path> checkpoint_folders(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> folders;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().filename().string().starts_with("round-")) folders.push_back(entry.path());
    }
    std::sort(folders.rbegin(), folders.rend());
    return folders;
}

std::string file_sha256(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    require<DataError>(stream.good(), "{} is missing or cannot be read", file.string());
    Sha256 hash;
    std::vector<char> bytes(std::size_t{1} << 20);
    while (stream.good()) {
        stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        hash.add(std::as_bytes(std::span(bytes.data(), static_cast<std::size_t>(stream.gcount()))));
    }
    return hash.hex();
}

template <class Write>
nlohmann::json write_and_hash(const std::filesystem::path& file, Write&& write) {
    {
        auto out = hdf5::create_file(file);
        write(out);
        out.close();
    }
    sync_to_disk(file);
    return {{"name", file.filename().string()}, {"bytes", std::filesystem::file_size(file)}, {"sha256", file_sha256(file)}};
}

nlohmann::json identity_json(const RunIdentity& identity) {
    return {{"configuration", identity.configuration}, {"layout", identity.layout}, {"isa", identity.isa}, {"silos", identity.silos}};
}

RunIdentity identity_from(const nlohmann::json& json) {
    return {json.at("configuration"), json.at("layout"), json.at("isa"), json.at("silos").get<std::map<std::string, std::string>>()};
}

// Throws DataError where the folder is not a whole checkpoint.
FoundCheckpoint read_manifest(const std::filesystem::path& folder) {
    const auto path = folder / "manifest.json";
    std::ifstream stream(path);
    require<DataError>(stream.good(), "{} has no manifest: it was not finished", folder.string());
    const auto manifest = nlohmann::json::parse(stream, nullptr, false);
    require<DataError>(manifest.is_object() && manifest.value("format", "") == "silosum-checkpoint", "{} is damaged", path.string());
    require<DataError>(manifest.value("version", 0) <= checkpoint_version, "{} is of version {}, this program reads up to {}", path.string(),
                       manifest.value("version", 0), checkpoint_version);
    try {
        for (const auto& file : manifest.at("files")) {
            const auto name = folder / file.at("name").get<std::string>();
            require<DataError>(file_sha256(name) == file.at("sha256").get<std::string>(), "{} is damaged: it was cut or changed", name.string());
        }
        return {folder, manifest.at("round"), manifest};
    } catch (const nlohmann::json::exception&) {
        throw DataError(fmt::format("{} is damaged", path.string()));
    }
}

}  // namespace

void CheckpointConfig::add_to(Options& options) {
    options.add("checkpoint.every", &every, 10, at_least(0), "Rounds between two checkpoints; 0 saves only when the run ends or stops.");
    options.add("checkpoint.keep", &keep, 2, at_least(1), "How many of the newest checkpoints are kept.");
}

std::vector<std::string> RunIdentity::differences(const RunIdentity& other) const {
    std::vector<std::string> lines;
    const auto mine = split(configuration, '\n');
    const auto theirs = split(other.configuration, '\n');
    const auto only_in = [](const std::vector<std::string>& a, const std::vector<std::string>& b) {
        std::vector<std::string> only;
        for (const auto& line : a) {
            if (!line.empty() && std::find(b.begin(), b.end(), line) == b.end()) only.push_back(line);
        }
        return join(only, ", ");
    };
    if (configuration != other.configuration) {
        lines.push_back(fmt::format("configuration: was {}; is {}", only_in(mine, theirs), only_in(theirs, mine)));
    } else if (layout != other.layout) {
        lines.push_back("model: the layers have other tensors");
    }
    if (isa != other.isa) lines.push_back(fmt::format("instruction set: was {0}, is {1}; run with --run.isa {0}", isa, other.isa));
    for (const auto& [name, fingerprint] : silos) {
        const auto found = other.silos.find(name);
        if (found == other.silos.end()) {
            lines.push_back(fmt::format("data: silo \"{}\" is missing", name));
        } else if (found->second != fingerprint) {
            lines.push_back(fmt::format("data: the shard of silo \"{}\" has changed", name));
        }
    }
    for (const auto& [name, fingerprint] : other.silos) {
        if (!silos.contains(name)) lines.push_back(fmt::format("data: silo \"{}\" is new", name));
    }
    return lines;
}

std::optional<FoundCheckpoint> find_checkpoint(const std::filesystem::path& folder, std::vector<std::string>& warnings) {
    for (const auto& candidate : checkpoint_folders(folder)) {
        try {
            return read_manifest(candidate);
        } catch (const DataError& error) {
            warnings.emplace_back(fmt::format("checkpoint passed over: {}", error.what()));
        }
    }
    return std::nullopt;
}

void restore_checkpoint(const FoundCheckpoint& found, const RunIdentity& identity, Federation& federation, Stopping& stopping) {
    const auto& world = federation.world;
    succeed_on_all(world, [&] {
        const auto differences = identity_from(found.manifest.at("identity")).differences(identity);
        require(differences.empty(), "cannot resume from {}, the run has changed:\n  {}\nuse the old settings and data, or another run.dir",
                found.folder.string(), join(differences, "\n  "));
        auto& global = federation.global.values;
        if (world.rank() == 0) {
            const auto dataset = hdf5::open_file(found.folder / global_file).dataset("parameters");
            require<DataError>(dataset.size() == global.size(), "{} has {} parameters, not {}", dataset.where(), dataset.size(), global.size());
            dataset.read(global.span());
        }
        for (Silo& silo : federation.silos) {
            if (!federation.trainer.settings().keeps_state()) break;
            const auto path = found.folder / silo_file(silo.id());
            if (!std::filesystem::exists(path)) continue;  // has not taken part yet
            const auto file = hdf5::open_file(path);
            std::vector<std::vector<float>> vectors;
            for (std::size_t i = 0; file.has(fmt::format("optimizer_{}", i)); ++i) {
                const auto dataset = file.dataset(fmt::format("optimizer_{}", i));
                vectors.emplace_back(dataset.size());
                dataset.read(std::span(vectors.back()));
            }
            silo.set_optimizer_state(federation.trainer, vectors, static_cast<std::uint64_t>(file.integer_attribute("steps")));
        }
    });
    broadcast(world, federation.global.values.span(), 0);
    const auto& state = found.manifest;
    federation.exchange->set_state({.range = state.at("range").at("value"), .clipped = state.at("range").at("clipped")});
    const auto& best = state.at("best");
    StoppingState stopped{.best = std::nullopt, .best_round = best.at("round"), .without_better = best.at("without_better")};
    if (best.at("value").is_number()) stopped.best = best.at("value").get<double>();
    stopping.set_state(stopped);
}

Checkpointer::Checkpointer(const CheckpointConfig& config, std::filesystem::path folder, RunIdentity identity, Federation& federation,
                           const Stopping& stopping)
    : config_(config), folder_(std::move(folder)), identity_(std::move(identity)), federation_(federation), stopping_(stopping) {}

void Checkpointer::after_round(RoundReport& report) {
    const bool due = report.is_final() || (config_.every > 0 && report.round.number % config_.every == 0);
    if (due) save(report.round.number, report.record.value("model_sha256", ""));
}

// Each rank writes the files of its silos, rank 0 the rest; the manifest makes it count.
void Checkpointer::save(std::uint64_t round, const std::string& model_sha256) {
    const auto& world = federation_.world;
    const auto target = folder_ / folder_name(round);
    nlohmann::json files = nlohmann::json::array();
    succeed_on_all(world, [&] {
        if (world.rank() != 0) return;
        std::error_code error;
        std::filesystem::remove_all(target, error);
        std::filesystem::create_directories(target, error);
        require<RuntimeError>(!error, "cannot make {}: {}; earlier checkpoints stay good", target.string(), error.message());
    });
    const auto failure = error_of([&] {
        if (world.rank() == 0) {
            files.push_back(write_and_hash(target / global_file, [&](hdf5::File& file) {
                const auto& global = federation_.global.values;
                file.write<float>("parameters", {global.size()}, global.span());
            }));
        }
        for (const Silo& silo : federation_.silos) {
            const auto vectors = silo.optimizer_state(federation_.trainer);
            if (vectors.empty()) continue;
            files.push_back(write_and_hash(target / silo_file(silo.id()), [&](hdf5::File& file) {
                file.set_attribute("silo", silo.name());
                file.set_attribute("steps", static_cast<std::int64_t>(silo.optimizer_steps()));
                for (std::size_t i = 0; i < vectors.size(); ++i) {
                    file.write<float>(fmt::format("optimizer_{}", i), {vectors[i].size()}, vectors[i]);
                }
            }));
        }
    });
    agree_on_error(world, failure);
    const auto all_files = gather_text(world, files.dump(), 0);
    succeed_on_all(world, [&] {
        if (world.rank() != 0) return;
        nlohmann::json list = nlohmann::json::array();
        for (const auto& text : all_files) {
            for (const auto& file : nlohmann::json::parse(text)) list.push_back(file);
        }
        const auto range = federation_.exchange->state();
        const auto& best = stopping_.state();
        const nlohmann::json manifest{
            {"format", "silosum-checkpoint"},
            {"version", checkpoint_version},
            {"round", round},
            {"model_sha256", model_sha256},
            {"identity", identity_json(identity_)},
            {"range", {{"value", range.range}, {"clipped", range.clipped}}},
            {"best",
             {{"value", best.best ? nlohmann::json(*best.best) : nlohmann::json()},
              {"round", best.best_round},
              {"without_better", best.without_better}}},
            {"files", list}};
        write_file_atomically(target / "manifest.json", manifest.dump(1));
        remove_old();
    });
}

// Unfinished folders go too: what was being written is whole by now.
void Checkpointer::remove_old() const {
    std::uint64_t whole = 0;
    for (const auto& folder : checkpoint_folders(folder_)) {
        const bool is_whole = std::filesystem::exists(folder / "manifest.json");
        if (is_whole && ++whole <= config_.keep) continue;
        std::error_code ignored;  // an old checkpoint that stays does no harm
        std::filesystem::remove_all(folder, ignored);
    }
}

}  // namespace silosum
