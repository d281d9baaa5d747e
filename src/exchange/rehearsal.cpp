#include "exchange/rehearsal.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

const std::vector<std::string> step_names{"train", "keys", "shares", "entry", "signature", "release"};

struct Leaving {
    std::uint64_t round = 0;
    std::string silo;
    LeaveStep step = LeaveStep::train;
};

Leaving parse(const std::string& text) {
    Leaving leaving;
    const std::size_t first = text.find(':');
    const std::size_t last = text.rfind(':');
    const auto result = std::from_chars(text.data(), text.data() + std::min(first, text.size()), leaving.round);
    require(
        first != std::string::npos && first < last && result.ec == std::errc() && result.ptr == text.data() + first && leaving.round > 0,
        "\"{}\" is not ROUND:SILO:STEP", text);
    leaving.silo = text.substr(first + 1, last - first - 1);
    const auto step = std::find(step_names.begin(), step_names.end(), text.substr(last + 1));
    require(step != step_names.end(), "{}", unknown_name("step", text.substr(last + 1), step_names));
    leaving.step = static_cast<LeaveStep>(step - step_names.begin());
    return leaving;
}

}  // namespace

Rehearsal::Rehearsal(const std::vector<std::string>& leaving, const std::vector<std::string>& names) {
    for (const auto& text : leaving) {
        const Leaving one = parse(text);
        const auto found = std::find(names.begin(), names.end(), one.silo);
        require(found != names.end(), "exchange.rehearse_leaving: {}", unknown_name("silo", one.silo, names));
        const bool is_new = steps_.emplace(std::pair(one.round, static_cast<std::uint32_t>(found - names.begin())), one.step).second;
        require(is_new, "exchange.rehearse_leaving: silo \"{}\" leaves round {} twice", one.silo, one.round);
    }
}

std::optional<LeaveStep> Rehearsal::leaves(std::uint64_t round, std::uint32_t silo) const {
    const auto found = steps_.find({round, silo});
    return found == steps_.end() ? std::nullopt : std::optional(found->second);
}

bool Rehearsal::gives_nothing(std::uint64_t round, std::uint32_t silo) const {
    const auto step = leaves(round, silo);
    return step && *step < LeaveStep::signature;
}

std::string problem_of_rehearsal(const std::vector<std::string>& leaving) {
    try {
        for (const auto& text : leaving) (void)parse(text);
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

}  // namespace silosum
