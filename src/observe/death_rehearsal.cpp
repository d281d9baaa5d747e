#include "observe/death_rehearsal.hpp"

#include <charconv>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

RehearsedDeath rehearsed_death_from(const std::string& text) {
    std::vector<std::uint64_t> numbers;
    for (const auto& part : split(text, ':')) {
        std::uint64_t number = 0;
        const auto read = std::from_chars(part.data(), part.data() + part.size(), number);
        require(read.ec == std::errc() && read.ptr == part.data() + part.size(), "\"{}\" is not ROUND:RANK:WAIT", text);
        numbers.push_back(number);
    }
    require(numbers.size() == 3 && numbers[0] > 0 && numbers[1] < 1'000'000 && numbers[2] > 0, "\"{}\" is not ROUND:RANK:WAIT", text);
    return {.round = numbers[0], .rank = static_cast<int>(numbers[1]), .wait = numbers[2]};
}

DeathRehearsal::DeathRehearsal(Watch& watch, const std::vector<std::string>& deaths, std::uint64_t first) : watch_(watch) {
    for (const auto& text : deaths) deaths_.push_back(rehearsed_death_from(text));
    begin(first);
}

void DeathRehearsal::begin(std::uint64_t round) {
    watch_.die_at_wait(0);
    for (const auto& death : deaths_) {
        if (death.round == round && death.rank == watch_.rank()) watch_.die_at_wait(death.wait);
    }
}

}  // namespace silosum
