// The exchange of a round: every silo's update is encoded by itself as integers, integers are added over all silos, each rank decodes
// its slice of the mean, and the slices of the new model go to everybody. The same bits for every number of ranks. Where a group of ranks
// hosts a silo, each encodes one part of the vector and adds it to those of the ranks at its position of other groups.
// Two of them: exact_sum.hpp adds words as they are, secure_sum.hpp under masks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "base/error.hpp"
#include "base/phase_clock.hpp"
#include "comm/collectives.hpp"
#include "comm/nodes.hpp"
#include "comm/rank_groups.hpp"
#include "device/stream.hpp"
#include "exchange/exchange_config.hpp"
#include "exchange/gpu_ranks.hpp"
#include "exchange/rehearsal.hpp"
#include "exchange/ring_sum.hpp"
#include "exchange/shared_updates.hpp"
#include "model/parameters.hpp"
#include "privacy/exact_numbers.hpp"
#include "privacy/fixed_point.hpp"
#include "round/round.hpp"
#include "round/update.hpp"

namespace silosum {

/// What the exchange has to know of the federation. Equal on all ranks but for `hosted`, which is equal in a group.
struct ExchangeSetup {
    std::size_t parameters = 0;
    std::vector<std::uint32_t> hosted;  // ids of this rank's silos
    std::size_t silos_per_round = 1;    // the most that take part in a round
    std::uint64_t largest_shard = 1;    // training samples of the largest shard of all silos
    std::size_t numbers = 0;            // length of Update::numbers
    std::vector<std::string> names{};   // of all silos by id, for messages; without them ids are told
    int ranks_per_silo = 1;             // ranks that host the same silos together: comm/rank_groups.hpp
    int ranks_per_node = 0;             // more ranks of a machine are taken as several nodes; 0: as many as there are
    std::optional<Stream> gpu{};        // of a GPU that no other rank uses, for exchange.transport = nccl
    std::vector<std::uint32_t> lost{};  // ids of silos whose ranks have died: they take part in no round, whoever chooses them
};

/// C of the next round where exchange.range = from_previous, and what it goes by: all that a checkpoint keeps of the exchange.
struct NextRange {
    double value = 0;                    // C
    double floor = smallest_range;       // what rounds that clipped have shown to be needed; forgotten slowly
    std::uint64_t unclipped_rounds = 0;  // since the floor last changed
    friend bool operator==(const NextRange&, const NextRange&) = default;
};

/// W: the power of two that no weight of a silo may pass. UsageError where exchange.max_weight is too small.
[[nodiscard]] std::uint64_t largest_weight(const ExchangeConfig& config, std::uint64_t largest_shard);

class Exchange {
public:
    /// Collective. Throws the same AgreedError on all ranks where the settings do not fit the federation.
    Exchange(const Communicator& communicator, const ExchangeConfig& config, const ExchangeSetup& setup);
    virtual ~Exchange() = default;
    Exchange(const Exchange&) = delete;  // its parts point at each other
    Exchange& operator=(const Exchange&) = delete;

    /// Where it works: updates, means and the global model lie in the memory of this stream, and it orders what is done to them. A GPU's
    /// where exchange.transport = nccl, else the host's.
    [[nodiscard]] const Stream& stream() const { return stream_; }
    /// The global model, all zeros, in the memory where publish() costs least: of a GPU, or once a node. Collective, once.
    [[nodiscard]] Parameters make_model(Layout layout);
    /// Memory for the models that this rank's silo gives, which all ranks of one machine read to add them up; empty where they do not read
    /// them: under masks, on several machines, with several silos on a rank or ranks to a silo. An update in it must not change from add()
    /// until finish() returns or throws an AgreedError. The mean lies there too: aggregates of rounds before lose theirs. Collective, once.
    [[nodiscard]] Buffer<float> make_local();
    /// Lets go of that memory, which goes when nobody has it any more; the exchange is of no use then. Local.
    void forget_local() {
        mean_ = {};
        updates_.reset();
    }
    /// Collective. `fill` puts values into memory of the host, on rank 0 alone; afterwards every rank has them as the model. Throws the
    /// same AgreedError on all ranks where it fails.
    void publish_first(Parameters& global, const std::function<void(std::span<float> values)>& fill);
    /// The model, or a copy of it, in the memory of the host; the copy lasts until the next call.
    [[nodiscard]] const Parameters& on_host(const Parameters& global);

    /// Starts a round. Local; what was added to a round that was never finished is forgotten.
    virtual void begin(const Round& round);
    /// Gives the update of a hosted silo to the round, the same on all ranks of a group. Local. Problems are kept for finish(), where all
    /// ranks learn of them.
    /// A rank that hosts one participant encodes while it sends: the update's models must last until finish() returns.
    /// With several, the update is used up when add() returns. One of weight 0 says that the silo missed its deadline: the round goes on.
    virtual void add(const Update& update) = 0;
    /// Says that a hosted silo has no update to give, and why; the same on all ranks of a group. Where the error is ExitCode::stopped, the
    /// round is given up: finish() throws it on all ranks.
    virtual void fail(std::uint32_t silo, const Error& error) = 0;
    /// Seconds that a hosted silo may train in the round that has begun, 0: no limit. Those of the configuration, unless the round is done
    /// again and must get from the silo what it got the first time. In a group what the first rank says holds.
    [[nodiscard]] virtual double deadline_of(std::uint32_t /*silo*/, double configured_s) const { return configured_s; }
    /// Collective. The mean over all silos, decoded on this rank's slice. Throws the same AgreedError on every rank when an update cannot
    /// be summed or the sum is refused; the exchange can then begin another round.
    [[nodiscard]] virtual Aggregate finish(const Round& round) = 0;
    /// Collective. Every rank has changed its slice of the model, after finish(); afterwards every rank has all of it.
    void publish(Parameters& global) {
        publish(global.values.span());
        take_model(global);
    }
    /// The same for values whose hash nobody needs.
    void publish(std::span<float> global);

    [[nodiscard]] const Slices& slices() const { return slices_; }
    [[nodiscard]] std::span<float> slice_of(std::span<float> global) const {
        return global.subspan(slices_.begin(communicator_.rank()), slices_.size(communicator_.rank()));
    }
    [[nodiscard]] std::span<float> slice_of(Parameters& global) const { return slice_of(global.values.span()); }

    /// Equal on all ranks.
    [[nodiscard]] const NextRange& next_range() const { return next_range_; }
    void set_next_range(const NextRange& range);
    /// The encoding of the round in hand.
    [[nodiscard]] const EncodingPlan& plan() const { return plan_; }
    /// W: the largest weight that a silo may have.
    [[nodiscard]] std::uint64_t max_weight() const { return max_weight_; }

    /// Whether ranks of a machine have one model together.
    [[nodiscard]] bool shares_memory() const { return shared_model_ != nullptr; }
    /// How words and the model travel, for people: "shared memory", "messages", ...
    [[nodiscard]] const std::string& transport() const { return transport_; }
    /// Seconds since begin(): encode, wait (for ranks that still train), wire, decode, publish; under masks also hash, keys, mask, unmask.
    [[nodiscard]] const PhaseClock& clock() const { return clock_; }
    /// Bytes of words, or updates that are read in place (as if each rank read for its own slice), and model that others have from this
    /// rank since begin(), by messages or in shared memory.
    [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }

protected:
    // An update whose encoding waits, because the range is not agreed yet or because it is streamed.
    struct Waiting {
        std::uint32_t silo = 0;
        std::uint64_t weight = 0;
        std::span<const float> local;
        std::span<const float> global;
        Buffer<float> copy;  // of local, where another silo's training would overwrite it
    };

    /// Collective. What is to be done where all ranks have a new global model.
    virtual void take_model(const Parameters& /*global*/) {}
    [[nodiscard]] std::span<const float> shared_model() const { return {shared_model_, setup_.parameters}; }
    [[nodiscard]] bool is_shared(std::span<const float> global) const { return !global.empty() && global.data() == shared_model_; }
    void check(const Update& update, std::size_t already_there) const;
    [[nodiscard]] std::uint64_t weight_of(const Update& update) const;
    [[nodiscard]] std::string text_of(std::uint64_t silo) const;
    [[nodiscard]] static Waiting waiting_for(const Update& update, std::uint64_t weight);
    [[nodiscard]] EncodedUpdate with_settings(const Waiting& update) const;
    [[nodiscard]] std::size_t lost_of(const Round& round) const;
    [[nodiscard]] std::string divergence(std::uint32_t silo, std::uint64_t coordinates) const;
    [[nodiscard]] Aggregate empty_aggregate();
    void choose_next_range(const Aggregate& aggregate, double largest_of_slice);

    Communicator communicator_;
    RankGroups ranks_;
    ExchangeConfig config_;
    ExchangeSetup setup_;
    Slices slices_;
    Slices part_;  // of them, those of this rank's position
    Rehearsal rehearsal_;
    std::uint64_t max_weight_ = 1;
    NextRange next_range_;
    std::optional<Nodes> nodes_;  // of all ranks
    std::string transport_;
    Threads host_;  // one: its work on whole models is little
    Stream stream_;
    std::unique_ptr<GpuRanks> gpus_;
    std::unique_ptr<RingSum> ring_;
    std::optional<SharedUpdates> updates_;
    Buffer<double> mean_;

    // Of the round in hand.
    std::uint64_t round_ = 0;
    EncodingPlan plan_;
    std::size_t expected_ = 0;  // hosted participants
    std::vector<Waiting> waiting_;
    std::optional<Error> error_;
    ExactNumbers numbers_;
    PhaseClock clock_;
    std::uint64_t bytes_sent_ = 0;

private:
    void make_ring();
    void make_ring_of_gpus();

    Buffer<float> model_;                  // shared by a node, until make_model() gives it away
    const float* shared_model_ = nullptr;  // where it lies
    Parameters copy_;                      // in the memory of the host, of a model in a GPU's
};

}  // namespace silosum
