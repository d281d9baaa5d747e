#include "federation/group_training.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>

#include <fmt/format.h>

#include "base/phase_clock.hpp"
#include "base/process.hpp"
#include "comm/collectives.hpp"

namespace silosum {

GroupTraining::GroupTraining(const RankGroups& groups, std::size_t floats, const std::string& transport, std::size_t step_bytes)
    : groups_(groups) {
    const Communicator& own = groups.own();
    if (transport != "messages") {
        try {
            sum_ = std::make_unique<OrderedSum>(own, Nodes(own), floats, step_bytes);
            return;
        } catch (const AgreedError&) {
            if (transport == "shared") throw;
        }
    }
    sum_ = std::make_unique<OrderedSum>(own, Nodes::apart(own), floats, step_bytes);
}

std::vector<GroupTraining::Word> GroupTraining::meet(const Word& mine, const std::string& what) {
    is_waiting_ = true;
    auto words = all_gather(groups_.own(), mine);
    const auto failed = std::find_if(words.begin(), words.end(), [](const Word& word) { return word.failed != 0; });
    if (failed != words.end()) {
        const auto texts = all_gather_text(groups_.own(), what);
        is_waiting_ = false;
        throw AgreedError(static_cast<ExitCode>(failed->failed), texts[static_cast<std::size_t>(failed - words.begin())]);
    }
    is_waiting_ = false;
    return words;
}

void GroupTraining::end_the_job(const Error& error) const {
    fmt::print(stderr, "silosum: a rank of a silo's group: {}\n", error.what());
    groups_.own().abort(static_cast<int>(error.code()));
}

void GroupTraining::tell(const Error& error) {
    // The others are not where they should be, and what they have sent so far would be taken for what comes next: no exchange may go on.
    if (is_waiting_) end_the_job(error);
    (void)meet({.failed = static_cast<std::uint64_t>(error.code())}, error.what());
    throw error;
}

void GroupTraining::begin(double deadline_s) {
    is_late_ = false;
    must_stop_ = false;
    is_waiting_ = false;
    deadline_s_ = meet({.deadline_s = deadline_s}).front().deadline_s;
    started_ = wall_seconds();
}

std::span<const std::uint32_t> GroupTraining::part_of(std::span<const std::uint32_t> rows) const {
    const auto position = static_cast<std::size_t>(groups_.position());
    const auto each = static_cast<std::size_t>(groups_.each());
    const std::size_t begin = rows.size() * position / each;
    return rows.subspan(begin, rows.size() * (position + 1) / each - begin);
}

kernels::LossSum GroupTraining::add_up(const kernels::LossSum& loss, std::span<float> gradient) {
    const bool is_late_here = deadline_s_ > 0 && wall_seconds() - started_ > deadline_s_;
    kernels::LossSum whole;
    is_late_ = false;
    must_stop_ = false;
    for (const Word& word : meet({.late = is_late_here ? 1U : 0U, .stop = is_grace_over() ? 1U : 0U, .loss = loss})) {
        whole.loss += word.loss.loss;
        whole.weight += word.loss.weight;
        whole.correct += word.loss.correct;
        is_late_ = is_late_ || word.late != 0;
        must_stop_ = must_stop_ || word.stop != 0;
    }
    is_waiting_ = true;
    sum_->add_up(gradient);
    is_waiting_ = false;
    return whole;
}

void GroupTraining::compare(std::span<const float> model) {
    // Each value counts by its place, so that differences do not cancel.
    std::uint64_t sum = 0;
    std::uint64_t place = 1;
    for (const float value : model) {
        sum += std::bit_cast<std::uint32_t>(value) * (place * 0x9E3779B97F4A7C15U);
        place += 2;
    }
    const auto words = meet({.model = sum});
    const bool is_one = std::all_of(words.begin(), words.end(), [&](const Word& word) { return word.model == words.front().model; });
    require<RuntimeError>(is_one,
                          "the ranks that train a silo together came to different models from the same gradients: run one build of silosum "
                          "with one C library on all of them");
}

}  // namespace silosum
