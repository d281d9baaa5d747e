// One rank of a group that trains a silo together: its part of every batch, and the meetings in which the group adds up gradients and
// learns of what went wrong on any of its ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "comm/ordered_sum.hpp"
#include "comm/rank_groups.hpp"
#include "model/batch_part.hpp"

namespace silosum {

/// All ranks of the group make the same calls in the same order.
class GroupTraining final : public GradientSum {
public:
    /// Collective over the group. floats: of a gradient. transport, step_bytes: as of the exchange. `groups` must outlive it. The group's
    /// ranks throw the same AgreedError where memory is to be shared and there is no room for it.
    GroupTraining(const RankGroups& groups, std::size_t floats, const std::string& transport, std::size_t step_bytes);

    /// The training of a silo, which makes the calls below. Where it fails on any rank, all of the group throw the same AgreedError.
    template <class Work>
    auto run(Work&& work) {
        try {
            return work();
        } catch (const AgreedError&) {
            throw;
        } catch (const Error& error) {
            tell(error);
        } catch (const std::exception& error) {
            tell(RuntimeError(text_of(error)));
        }
    }

    /// deadline_s: that of the first rank counts for all; 0: none.
    void begin(double deadline_s);
    /// This rank's rows of a batch; none where there are fewer rows than ranks.
    [[nodiscard]] std::span<const std::uint32_t> part_of(std::span<const std::uint32_t> rows) const;
    kernels::LossSum add_up(const kernels::LossSum& loss, std::span<float> gradient) override;
    /// Whether a rank was beyond the deadline when gradients were last added up.
    [[nodiscard]] bool is_late() const { return is_late_; }
    /// Whether a rank had to stop then: see is_grace_over().
    [[nodiscard]] bool must_stop() const { return must_stop_; }
    /// The end: RuntimeError unless all ranks have the same model.
    void compare(std::span<const float> model);

private:
    // What each rank says in a meeting. All meetings are alike, so that one that has failed can join whichever comes next.
    struct Word {
        std::uint64_t failed = 0;  // the exit code
        std::uint64_t late = 0;
        std::uint64_t stop = 0;
        double deadline_s = 0;
        kernels::LossSum loss{};
        std::uint64_t model = 0;
    };
    [[nodiscard]] std::vector<Word> meet(const Word& mine, const std::string& what = "");
    [[noreturn]] void tell(const Error& error);
    [[noreturn]] void end_the_job(const Error& error) const;

    const RankGroups& groups_;
    std::unique_ptr<OrderedSum> sum_;
    double started_ = 0;
    double deadline_s_ = 0;
    bool is_late_ = false;
    bool must_stop_ = false;
    bool is_waiting_ = false;  // for other ranks: what goes wrong then cannot be told to them
};

}  // namespace silosum
