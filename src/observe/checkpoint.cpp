#include "observe/checkpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <functional>
#include <map>
#include <system_error>

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

std::string silo_file(std::uint32_t id) {
    return fmt::format("silo-{:04}.h5", id);
}
std::string folder_name(std::uint64_t round) {
    return fmt::format("round-{:06}", round);
}

bool is_finished(const std::filesystem::path& folder) {
    return std::filesystem::exists(folder / "manifest.json");
}

// Checkpoints below the folder by round, newest first; also those that were not finished. Damaged ones have another name.
std::map<std::uint64_t, std::filesystem::path, std::greater<>> checkpoint_folders(const std::filesystem::path& folder) {
    std::map<std::uint64_t, std::filesystem::path, std::greater<>> folders;
    if (!std::filesystem::exists(folder)) return folders;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        const std::string digits = name.starts_with("round-") ? name.substr(6) : "";
        std::uint64_t round = 0;
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), round);
        if (read.ec == std::errc() && read.ptr == digits.data() + digits.size()) folders[round] = entry.path();
    }
    return folders;
}

// What makes a checkpoint worthless: others than it may be good. A disk that cannot be read, or a newer version, is no damage.
class Damage : public DataError {
public:
    using DataError::DataError;
};

std::ifstream opened(const std::filesystem::path& file) {
    require<Damage>(std::filesystem::exists(file), "{} is damaged: the file is missing", file.string());
    errno = 0;
    std::ifstream stream(file, std::ios::binary);
    require<RuntimeError>(stream.good(), "cannot read {}: {}", file.string(), std::generic_category().message(errno));
    return stream;
}

std::string file_sha256(const std::filesystem::path& file) {
    std::ifstream stream = opened(file);
    Sha256 hash;
    std::vector<char> bytes(std::size_t{1} << 20);
    while (stream.good()) {
        stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        hash.add(std::as_bytes(std::span(bytes.data(), static_cast<std::size_t>(stream.gcount()))));
    }
    require<RuntimeError>(stream.eof() && !stream.bad(), "cannot read {} to its end", file.string());
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
    return {json.at("configuration"), json.at("layout"), json.at("isa"), json.at("silos")};
}

nlohmann::json stopping_json(const StoppingState& state) {
    const auto number = [](const std::optional<double>& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
    return {{"best_metric", state.best_metric},       {"best", number(state.best)},           {"best_round", state.best_round},
            {"without_better", state.without_better}, {"judged_metric", state.judged_metric}, {"judged", number(state.judged)}};
}

StoppingState stopping_from(const nlohmann::json& json) {
    const auto number = [&](const char* key) {
        return json.at(key).is_number() ? std::optional(json.at(key).get<double>()) : std::nullopt;
    };
    return {.best_metric = json.at("best_metric"),
            .best = number("best"),
            .best_round = json.at("best_round"),
            .without_better = json.at("without_better"),
            .judged_metric = json.at("judged_metric"),
            .judged = number("judged")};
}

// Of all of the manifest but the entry that holds it.
std::string manifest_sha256(nlohmann::json manifest) {
    manifest.erase("manifest_sha256");
    Sha256 hash;
    hash.add(manifest.dump());
    return hash.hex();
}

// Throws Damage where the checkpoint is not whole.
FoundCheckpoint read_manifest(const std::filesystem::path& folder) {
    const auto path = folder / "manifest.json";
    std::ifstream stream = opened(path);
    const auto manifest = nlohmann::json::parse(stream, nullptr, false);
    try {
        const bool is_ours = manifest.is_object() && manifest.at("format") == "silosum-checkpoint";
        require<Damage>(is_ours, "{} is damaged: it was cut or changed", path.string());
        const int version = manifest.at("version");
        require<DataError>(version <= checkpoint_version, "{} is of version {}, this program reads up to {}: use a newer silosum",
                           path.string(), version, checkpoint_version);
        require<Damage>(manifest.at("manifest_sha256") == manifest_sha256(manifest), "{} is damaged: it was cut or changed", path.string());
        for (const auto& file : manifest.at("files")) {
            const auto name = folder / file.at("name").get<std::string>();
            require<Damage>(file_sha256(name) == file.at("sha256").get<std::string>(), "{} is damaged: it was cut or changed",
                            name.string());
        }
        return {folder, manifest.at("round"), manifest};
    } catch (const nlohmann::json::exception&) {
        throw Damage(fmt::format("{} is damaged: it was cut or changed", path.string()));
    }
}

bool lists(const nlohmann::json& manifest, const std::string& file) {
    const auto& files = manifest.at("files");
    return std::any_of(files.begin(), files.end(), [&](const auto& entry) { return entry.at("name") == file; });
}

}  // namespace

void CheckpointConfig::add_to(Options& options) {
    options.add("checkpoint.every", &every, 10, at_least(0), "Rounds between two checkpoints; 0 saves only when the run ends or stops.");
    options.add("checkpoint.keep", &keep, 2, at_least(1), "How many of the newest checkpoints are kept.");
}

std::optional<FoundCheckpoint> find_checkpoint(const std::filesystem::path& folder, std::vector<std::string>& warnings) {
    std::vector<std::pair<std::filesystem::path, std::string>> damaged;
    for (const auto& [round, candidate] : checkpoint_folders(folder)) {
        if (!is_finished(candidate)) continue;
        try {
            const FoundCheckpoint found = read_manifest(candidate);
            for (const auto& [path, text] : damaged) {
                // Out of the way, so that it is never taken for one of those that are kept; nothing is lost that might still be of use.
                auto aside = path;
                aside += ".damaged";
                std::filesystem::remove_all(aside);
                std::filesystem::rename(path, aside);
                warnings.push_back(fmt::format("{}; going back to the checkpoint of round {} (what is left of the other is now {})", text,
                                               found.round, aside.string()));
            }
            return found;
        } catch (const Damage& error) {
            damaged.emplace_back(candidate, error.what());
        }
    }
    std::vector<std::string> texts;
    for (const auto& [path, text] : damaged) texts.push_back(text);
    require<DataError>(damaged.empty(),
                       "no good checkpoint is left in {}: {}; start anew with --run.overwrite true, or in another --run.dir",
                       folder.string(), join(texts, "; "));
    return std::nullopt;
}

void restore_checkpoint(const FoundCheckpoint& found, const RunIdentity& identity, Federation& federation, Stopping& stopping) {
    const auto& world = federation.world;
    succeed_on_all(world, [&] {
        const auto differences = identity_from(found.manifest.at("identity")).differences(identity);
        require(differences.empty(),
                "cannot resume from {}: it is of a run with other settings or data\n  {}\nuse the old ones, or another --run.dir",
                found.folder.string(), join(differences, "\n  "));
        for (Silo& silo : federation.silos) {
            if (!federation.trainer.settings().keeps_state()) break;
            if (!lists(found.manifest, silo_file(silo.id()))) continue;  // has not taken part yet
            const auto file = hdf5::open_file(found.folder / silo_file(silo.id()));
            std::vector<std::vector<float>> vectors;
            for (std::size_t i = 0; file.has(fmt::format("optimizer_{}", i)); ++i) {
                const auto dataset = file.dataset(fmt::format("optimizer_{}", i));
                vectors.emplace_back(dataset.size());
                dataset.read(std::span(vectors.back()));
            }
            silo.set_optimizer_state(federation.trainer, vectors, static_cast<std::uint64_t>(file.integer_attribute("steps")));
        }
    });
    federation.exchange->publish_first(federation.global, [&](std::span<float> values) {
        const auto dataset = hdf5::open_file(found.folder / global_file).dataset("parameters");
        require<DataError>(dataset.size() == values.size(), "{} has {} parameters, not {}", dataset.where(), dataset.size(), values.size());
        dataset.read(values);
    });
    const auto& state = found.manifest;
    const auto& range = state.at("range");
    federation.exchange->set_next_range({range.at("next"), range.at("floor"), range.at("unclipped_rounds")});
    stopping.set_state(stopping_from(state.at("stopping")));
}

Checkpointer::Checkpointer(const CheckpointConfig& config, std::filesystem::path folder, RunIdentity identity, Federation& federation,
                           const Stopping& stopping)
    : config_(config), folder_(std::move(folder)), identity_(std::move(identity)), federation_(federation), stopping_(stopping) {}

void Checkpointer::after_round(RoundReport& report) {
    last_ = {report.round.number, report.stop_reason, report.record.value("model_sha256", "")};
    is_saved_ = false;
    const bool due = report.is_final() || (config_.every > 0 && report.round.number % config_.every == 0);
    if (due) save();
}

bool Checkpointer::save_last() {
    const bool is_as_it_was = last_.round > 0 && !federation_.trainer.settings().keeps_state();
    if (!is_saved_ && is_as_it_was) save();
    return is_saved_;
}

void Checkpointer::save() {
    const auto& world = federation_.world;
    const auto target = folder_ / folder_name(last_.round);
    try {
        succeed_on_first(world, [&] {
            std::error_code error;
            std::filesystem::remove_all(target, error);
            if (!error) std::filesystem::create_directories(target, error);
            require<RuntimeError>(!error, "cannot make {}: {}", target.string(), error.message());
        });
        write_files(target);
    } catch (const AgreedError& error) {
        std::error_code ignored;  // what is left does not count; it only takes room
        if (world.rank() == 0) std::filesystem::remove_all(target, ignored);
        throw AgreedError(error.code(),
                          fmt::format("the checkpoint of round {} was not saved (once it can be, --run.resume auto goes on): {}",
                                      last_.round, error.what()));
    }
    last_good_ = target;
    is_saved_ = true;
    if (world.rank() == 0) remove_old(last_.round);
}

// Each group writes the files of its silos, rank 0 the rest; the manifest makes it count.
void Checkpointer::write_files(const std::filesystem::path& target) {
    const auto& world = federation_.world;
    nlohmann::json files = nlohmann::json::array();
    succeed_on_all(world, [&] {
        if (world.rank() == 0) {
            files.push_back(write_and_hash(target / global_file, [&](hdf5::File& file) {
                const auto& global = federation_.exchange->on_host(federation_.global).values;
                file.write<float>("parameters", {global.size()}, global.span());
            }));
        }
        for (const Silo& silo : federation_.silos) {
            if (!federation_.ranks->is_first()) break;  // all of a group have the same
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
    const auto all_files = gather_text(world, files.dump(), 0);
    succeed_on_first(world, [&] {
        nlohmann::json list = nlohmann::json::array();
        for (const auto& text : all_files) {
            for (const auto& file : nlohmann::json::parse(text)) list.push_back(file);
        }
        write_manifest(target, list);
    });
}

void Checkpointer::write_manifest(const std::filesystem::path& target, const nlohmann::json& files) const {
    const NextRange& range = federation_.exchange->next_range();
    nlohmann::json manifest{{"format", "silosum-checkpoint"},
                            {"version", checkpoint_version},
                            {"round", last_.round},
                            {"stop_reason", last_.stop_reason},
                            {"model_sha256", last_.model_sha256},
                            {"identity", identity_json(identity_)},
                            {"range", {{"next", range.value}, {"floor", range.floor}, {"unclipped_rounds", range.unclipped_rounds}}},
                            {"stopping", stopping_json(stopping_.state())},
                            {"files", files}};
    manifest["manifest_sha256"] = manifest_sha256(manifest);
    // The record of the rounds that a resume will not train again.
    const auto record = folder_.parent_path() / "metrics.jsonl";
    if (std::filesystem::exists(record)) sync_to_disk(record);
    write_file_atomically(target / "manifest.json", manifest.dump(1) + "\n");
    // Its entry too is on the disk before an older checkpoint may go.
    sync_to_disk(folder_);
    sync_to_disk(folder_.parent_path());
}

// Later rounds are left from before a start that went back to an earlier one, as they were damaged; unfinished ones hold nothing.
void Checkpointer::remove_old(std::uint64_t newest) const {
    std::uint64_t kept = 0;
    for (const auto& [round, folder] : checkpoint_folders(folder_)) {
        if (round <= newest && is_finished(folder) && ++kept <= config_.keep) continue;
        std::error_code ignored;  // an old checkpoint that stays does no harm
        std::filesystem::remove_all(folder, ignored);
    }
}

}  // namespace silosum
