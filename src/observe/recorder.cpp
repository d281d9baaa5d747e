#include "observe/recorder.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "io/atomic_file.hpp"

namespace silosum {

namespace {

std::string lines_up_to(const std::filesystem::path& file, std::uint64_t last_round) {
    std::string kept;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        const auto json = nlohmann::json::parse(line, nullptr, false);
        // A line cut by a kill is of a round that is trained again.
        if (json.is_object() && json.contains("round") && json["round"].is_number_unsigned() &&
            json["round"].get<std::uint64_t>() <= last_round)
            kept += line + "\n";
    }
    return kept;
}

nlohmann::ordered_json phases_json(const PhaseClock& clock) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (const auto& [phase, time] : clock.phases()) json[phase] = {{"wall", time.wall}, {"cpu", time.cpu}};
    return json;
}

}  // namespace

Recorder::Recorder(const Communicator& world, std::filesystem::path file, std::uint64_t last_kept_round)
    : world_(world), file_(std::move(file)) {
    succeed_on_first(world_, [&] {
        write_file_atomically(file_, lines_up_to(file_, last_kept_round));
        stream_.open(file_, std::ios::app);
        require<RuntimeError>(stream_.good(), "cannot write {}: {}", file_.string(), std::strerror(errno));
    });
}

void Recorder::after_round(RoundReport& report) {
    succeed_on_first(world_, [&] {
        report.record["seconds"] = phases_json(report.clock);
        stream_ << report.record.dump() << '\n' << std::flush;
        require<RuntimeError>(stream_.good(), "cannot write {}: {}", file_.string(), std::strerror(errno));
    });
}

}  // namespace silosum
