#include "observe/run_identity.hpp"

#include <map>

#include <fmt/format.h>

#include "base/text.hpp"

namespace silosum {

namespace {

// "key=value" lines as a map.
std::map<std::string, std::string> settings_of(const std::string& configuration) {
    std::map<std::string, std::string> settings;
    for (const auto& line : split(configuration, '\n')) {
        const auto equals = line.find('=');
        if (equals != std::string::npos) settings[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return settings;
}

// "what: was a, is b" for every key in which the two differ.
void add_differences(const std::map<std::string, std::string>& was, const std::map<std::string, std::string>& is,
                     std::vector<std::string>& lines) {
    const auto value_in = [](const std::map<std::string, std::string>& map, const std::string& key) {
        const auto found = map.find(key);
        if (found == map.end()) return std::string("not in use");
        return found->second.empty() ? std::string("empty") : found->second;
    };
    std::map<std::string, std::string> all = was;
    all.insert(is.begin(), is.end());
    for (const auto& [key, value] : all) {
        const std::string before = value_in(was, key);
        const std::string now = value_in(is, key);
        if (before != now) lines.push_back(fmt::format("{}: was {}, is {}", key, before, now));
    }
}

void add_data_differences(const RunIdentity& was, const RunIdentity& is, std::vector<std::string>& lines) {
    const std::map<std::string, std::string> before(was.silos.begin(), was.silos.end());
    const std::map<std::string, std::string> now(is.silos.begin(), is.silos.end());
    for (const auto& [name, fingerprint] : before) {
        const auto found = now.find(name);
        if (found == now.end()) {
            lines.push_back(fmt::format("data: silo \"{}\" is missing", name));
        } else if (found->second != fingerprint) {
            lines.push_back(fmt::format("data: the shard of silo \"{}\" has changed", name));
        }
    }
    for (const auto& [name, fingerprint] : now) {
        if (!before.contains(name)) lines.push_back(fmt::format("data: silo \"{}\" is new", name));
    }
    if (before != now || was.silos == is.silos) return;
    const auto names = [](const RunIdentity& identity) {
        std::vector<std::string> all;
        for (const auto& silo : identity.silos) all.push_back(silo.first);
        return join(all, ", ");
    };
    lines.push_back(fmt::format("data: the order of the silos was {}, is {}", names(was), names(is)));
}

}  // namespace

std::vector<std::string> RunIdentity::differences(const RunIdentity& other) const {
    std::vector<std::string> lines;
    add_differences(settings_of(configuration), settings_of(other.configuration), lines);
    if (lines.empty() && layout != other.layout) lines.emplace_back("model: the layers have other tensors");
    if (isa != other.isa)
        lines.push_back(fmt::format("device or instruction set: was {}, is {}; choose with --run.device and --run.isa", isa, other.isa));
    add_data_differences(*this, other, lines);
    return lines;
}

}  // namespace silosum
