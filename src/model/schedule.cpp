#include "model/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

double scheduled(const Schedule& schedule, std::uint64_t round) {
    switch (schedule.kind) {
        case Schedule::Kind::constant:
            return schedule.lr;
        case Schedule::Kind::exponential:
            return schedule.lr * std::pow(schedule.gamma, static_cast<double>(round));
        case Schedule::Kind::step: {
            const std::uint64_t steps = round / schedule.step_rounds;
            return schedule.lr * std::pow(schedule.gamma, static_cast<double>(steps));
        }
        case Schedule::Kind::cosine:
            break;
    }
    const double share =
        static_cast<double>(std::min(round, schedule.rounds)) / static_cast<double>(std::max<std::uint64_t>(1, schedule.rounds));
    return schedule.lr_min + (schedule.lr - schedule.lr_min) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

}  // namespace

double Schedule::rate(std::uint64_t round) const {
    const double warmth = round < warmup_rounds ? static_cast<double>(round + 1) / static_cast<double>(warmup_rounds) : 1;
    return warmth * scheduled(*this, round);
}

const std::vector<std::string>& schedule_names() {
    static const std::vector<std::string> names{"constant", "exponential", "step", "cosine"};
    return names;
}

Schedule::Kind schedule_from_name(const std::string& name) {
    const auto& names = schedule_names();
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw UsageError(unknown_name("schedule", name, names));
    return static_cast<Schedule::Kind>(found - names.begin());
}

}  // namespace silosum
