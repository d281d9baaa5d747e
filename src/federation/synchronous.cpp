// READ THIS FIRST. The synchronous loop: silos train, one exact sum, the server step on slices, everyone has the new model.
#include "comm/agreement.hpp"
#include "federation/federation.hpp"

namespace silosum {

Outcome run_synchronous(Federation& fed, Round round, Outcome outcome) {
    while (!round.is_past_last() && outcome.stop_reason.empty()) {
        fed.clock.clear();
        round.participants = fed.selection.choose(round.number);  // 1. the same draw on every rank, no message
        fed.exchange->begin(round);
        for (Silo& silo : fed.silos) {  // 2. silos of this rank train on their own shard
            if (!round.includes(silo.id())) continue;
            const auto error = error_of([&] {
                const double deadline_s = fed.exchange->deadline_of(silo.id(), fed.trainer.settings().deadline_s);
                const auto train = [&] { return silo.train(fed.global.values.span(), fed.trainer, round, deadline_s); };
                const Update update = fed.clock.measure("train", train);
                fed.exchange->add(update);  // 3. encoded by itself: from here on only integers are added
            });
            if (error) fed.exchange->fail(silo.id(), *error);  // finish tells all ranks, so that none waits for ever
        }
        const Aggregate sum = fed.exchange->finish(round);  // 4. one collective; this rank holds its slice of the mean
        if (!sum.is_refused())                              // 5. the server step, on the slice, where the exchange has it
            fed.algorithm->apply(fed.exchange->slice_of(fed.global), sum, round, fed.exchange->stream());
        fed.exchange->publish(fed.global);                                                      // 6. everyone has the new model
        outcome = {.rounds = round.number, .stop_reason = show_to_observers(fed, round, sum)};  // 7. measure, save, perhaps stop
        round = round.next();
    }
    return outcome;
}

std::string show_to_observers(Federation& fed, const Round& round, const Aggregate& sum) {
    RoundReport report{.round = round, .aggregate = sum, .clock = fed.clock, .record = {}, .stop_reason = {}};
    for (auto& observer : fed.observers) observer->after_round(report);
    return report.stop_reason;
}

}  // namespace silosum
