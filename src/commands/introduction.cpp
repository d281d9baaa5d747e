#include "commands/introduction.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "base/text.hpp"
#include "comm/watch.hpp"
#include "config/needs.hpp"

namespace silosum {

void introduce(const RunConfig& config, const Assembly& assembly) {
    const auto& fed = *assembly.federation;
    const std::size_t silos = fed.census.silos.size();
    fmt::print("{} on {} ({}, {} each): {} train, {} validation, {} test rows\n", counted(silos, "silo"),
               ranks_text(static_cast<std::size_t>(fed.world.size()), config.local.ranks_per_silo), assembly.identity.isa,
               counted(config.run.threads, "thread"), fed.census.totals.train, fed.census.totals.validation, fed.census.totals.test);
    if (fed.census.totals.validation + fed.census.totals.test == 0 && !assembly.common_test)
        fmt::print("no silo has validation or test rows, and there is no eval.common_test: only the train loss is measured\n");
    const auto groups = static_cast<std::size_t>(fed.ranks->count());
    if (groups > silos) {
        const std::size_t without = (groups - silos) * static_cast<std::size_t>(fed.ranks->each());
        fmt::print("{} without a silo: {} of the model and {} every sum\n", counted(without, "rank"),
                   without == 1 ? "it owns a slice" : "they own slices", without == 1 ? "joins" : "join");
    }
    fmt::print("{}: {}; {} parameters\n", to_string(fed.census.problem), assembly.description.layers, fed.global.values.size());
    if (fed.world.size() > 1) fmt::print("updates travel by {}\n", fed.exchange->transport());
    if (fed.group) {
        const SecurePlan& plan = fed.group->plan();
        fmt::print("sums under masks: {}, {} of {} shares open one, at least {} of {} must have trained\n",
                   plan.neighbours + 1 == silos ? "every silo with every other" : fmt::format("every silo with {} others", plan.neighbours),
                   plan.threshold, plan.neighbours + 1, plan.least_trained, counted(silos, "silo"));
        fmt::print("{}\n", fed.group->claim());
        for (const auto& [name, rows] : {std::pair("validation", &SiloEntry::validation), std::pair("test", &SiloEntry::test)}) {
            const auto with = fed.census.silos_with(rows);
            const auto count = std::count(with.begin(), with.end(), true);
            if (count > 0 && !fed.sums->are_enough(with))
                fmt::print("{} rows are not measured: {}, and a sum needs those of {} trust domains\n", name,
                           count == 1 ? "one silo has some" : fmt::format("{} silos have some", count), plan.least_trained);
        }
    }
    std::fflush(stdout);
}

void tell_of_deaths(const Communicator& survivors, const Census& census, std::uint64_t round, const std::vector<std::uint32_t>& lost) {
    std::vector<std::string> names;
    for (const std::uint32_t silo : lost) names.push_back(fmt::format("\"{}\"", census.silos[silo].name));
    fmt::print(stderr, "silosum: warning: {}: from round {} on the run goes on with {}{}\n", survivors.watch()->text(), round,
               ranks_text(static_cast<std::size_t>(survivors.size()), 1), names.empty() ? "" : ", without " + join(names, ", "));
}

}  // namespace silosum
