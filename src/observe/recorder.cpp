#include "observe/recorder.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "io/atomic_file.hpp"

namespace silosum {

namespace {

std::string lines_up_to(const std::filesystem::path& file, std::uint64_t last_round) {
    std::string kept;
    if (!std::filesystem::exists(file)) return kept;
    std::ifstream stream(file);
    require<RuntimeError>(stream.good(), "cannot read {}: {}; move it away to go on without the record of earlier rounds", file.string(),
                          std::strerror(errno));
    std::uint64_t rounds = 0;
    for (std::string line; std::getline(stream, line);) {
        const auto json = nlohmann::json::parse(line, nullptr, false);
        // A line cut by a kill is of a round that is trained again.
        if (json.is_object() && json.contains("round") && json["round"].is_number_unsigned() &&
            json["round"].get<std::uint64_t>() <= last_round) {
            kept += line + "\n";
            ++rounds;
        }
    }
    require<RuntimeError>(stream.eof() && !stream.bad(), "cannot read {} to its end", file.string());
    if (rounds < last_round)
        fmt::print(stderr, "silosum: warning: {} has the record of {} of the {} rounds before\n", file.string(), rounds, last_round);
    return kept;
}

// On rank 0: phases whose length says nothing of a single silo's data.
nlohmann::ordered_json phases_of_all(const PhaseClock& clock) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (const auto& [phase, time] : clock.phases()) {
        if (phase != "train" && phase != "wait" && phase != "tag" && phase != "evaluate")
            json[phase] = {{"wall", time.wall}, {"cpu", time.cpu}};
    }
    return json;
}

// On rank 0: of each phase the longest time that a rank spent in it.
nlohmann::ordered_json longest_phases(const Communicator& world, const PhaseClock& clock) {
    nlohmann::ordered_json mine = nlohmann::ordered_json::object();
    for (const auto& [phase, time] : clock.phases()) mine[phase] = {{"wall", time.wall}, {"cpu", time.cpu}};
    nlohmann::ordered_json longest = mine;
    for (const auto& text : gather_text(world, mine.dump(), 0)) {
        const auto of_rank = nlohmann::ordered_json::parse(text);
        for (const auto& [phase, times] : of_rank.items()) {
            for (const auto& [kind, seconds] : times.items()) {
                auto& most = longest[phase][kind];
                if (!most.is_number() || seconds > most) most = seconds;
            }
        }
    }
    return longest;
}

}  // namespace

Recorder::Recorder(const Communicator& world, std::filesystem::path file, std::uint64_t last_kept_round, bool hides_silos)
    : world_(world), hides_silos_(hides_silos), file_(std::move(file)) {
    go_back_to(last_kept_round);
}

void Recorder::go_back_to(std::uint64_t last_kept_round) {
    succeed_on_first(world_, [&] {
        stream_.close();
        write_file_atomically(file_, lines_up_to(file_, last_kept_round));
        stream_.open(file_, std::ios::app);
        require<RuntimeError>(stream_.good(), "cannot write {}: {}", file_.string(), std::strerror(errno));
    });
}

void Recorder::after_round(RoundReport& report) {
    const auto phases = hides_silos_ ? phases_of_all(report.clock) : longest_phases(world_, report.clock);
    succeed_on_first(world_, [&] {
        report.record["seconds"] = phases;
        if (const auto job = slurm_job()) report.record["restarts"] = job->restarts;
        stream_ << report.record.dump() << '\n' << std::flush;
        require<RuntimeError>(stream_.good(), "cannot write {}: {}", file_.string(), std::strerror(errno));
    });
}

}  // namespace silosum
