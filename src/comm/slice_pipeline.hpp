// Reduce-scatter by slices, on two levels. Inside a node ranks leave words in shared memory, for each owner of a slice there, who reads
// them in place. Between nodes they are messages: the words of a node for an owner elsewhere are added up first, by the rank whose place
// on the node is the owner's (modulo the ranks of the node), so that words cross once a node and every rank forwards for some owners.
// Chunks overlap: the source makes chunk k + 1 while chunk k is on its way. Buffers are made once, as fresh memory for each call costs as
// much as the transport (page faults).
//
// Floats are not added on the way, as the order counts: each rank sends its own, as it does where it is alone on its node.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/buffer.hpp"
#include "comm/add_parts.hpp"
#include "comm/mpi.hpp"
#include "comm/nodes.hpp"
#include "comm/slices.hpp"

namespace silosum {

template <class Word>
class SlicePipeline {
public:
    /// Collective. step_bytes: what a rank gives in one step to all others together; memory is up to four times that, on nodes of unlike
    /// sizes five times. extra: words that travel behind the words of every chunk. The communicator must outlive it.
    SlicePipeline(const Communicator& communicator, const Nodes& nodes, const Slices& slices, std::size_t step_bytes, std::size_t extra = 0)
        : communicator_(&communicator),
          nodes_(nodes),
          adding_(std::is_integral_v<Word> ? nodes : Nodes::apart(communicator)),
          chunks_(slices, step_bytes, sizeof(Word)),
          extra_(extra),
          forwards_(adding_.count() > 1 && adding_.count() < index(communicator.size())),
          neighbours_(nodes_.ranks_of(nodes_.of(communicator.rank()))),
          slots_(forwards_ ? 3 : 2) {
        for (auto& slot : slots_) slot = std::make_unique<Slot>(communicator);
        for (const int rank : neighbours_) {
            owners_.push_back(owners_left_with(rank, communicator.rank()));
            if (rank != communicator.rank()) left_here_ = owners_left_with(communicator.rank(), rank);
        }
        for (int from = 0; from < communicator.size(); ++from) messages_ += is_sender(from) ? 1 : 0;

        const bool shares = nodes.count() < index(communicator.size());
        const std::size_t outs = slots_.size() * index(communicator.size()) * place();
        outs_ = shares ? shared_buffer<Word>(communicator, nodes, neighbours_.size() * outs) : Buffer<Word>(outs);
        ins_ = Buffer<Word>(ahead * messages_ * place());
    }
    ~SlicePipeline() {
        // After a missed deadline MPI still knows these buffers: they must never be given to anybody else.
        bool pending = false;
        for (auto& slot : slots_) {
            if (!slot || !slot->pending()) continue;
            (void)slot.release();
            pending = true;
        }
        if (!pending) return;
        (void)new Buffer<Word>(std::move(outs_));
        (void)new Buffer<Word>(std::move(ins_));
    }
    SlicePipeline(const SlicePipeline&) = delete;
    SlicePipeline& operator=(const SlicePipeline&) = delete;

    /// Collective. gives[r]: whether rank r has words; the same on all ranks; others count as zero.
    /// source(begin, n, scratch) returns n words from coordinate `begin`, and the extra ones behind: filled into scratch, or elsewhere and
    /// kept until the end.
    /// sink(begin, n, parts) gets parts whose sum is that of all ranks that give, for n coordinates of this rank's slice, chunk after
    /// chunk. Floats: one part a rank, this rank's, then that of the rank before, and so on round. Integers: one for each rank of this
    /// node and for each other node.
    /// Returns the bytes that others have from this rank: words left for another rank of the node, be it as their owner or to forward
    /// them, and messages, those with the words of the whole node too.
    template <class Source, class Sink>
    std::size_t run(const std::vector<bool>& gives, Source&& source, Sink&& sink) {
        const std::size_t steps = chunks_.steps();
        const std::size_t lag = slots_.size() - 1;
        sent_ = 0;
        for (std::size_t step = 0; step < std::min(steps, ahead); ++step) receive(step, gives);
        // What a rank waits for in one turn others have done in turns before: send(k) for chunks to be taken that slots_.size() turns ago
        // were sent, forward(k - 1) for send(k - 1), take(k - lag) for what is sent or forwarded a turn earlier at the latest, to buffers
        // that were free by then. So the ranks that are in the earliest turn can always go on.
        for (std::size_t turn = 0; turn < steps + lag; ++turn) {
            if (turn < steps) send(turn, gives, source);
            if (forwards_ && turn >= 1 && turn <= steps) forward(turn - 1, gives);
            if (turn < lag) continue;
            const std::size_t ready = turn - lag;
            take(ready, gives, sink);
            if (ready + ahead < steps) receive(ready + ahead, gives);
        }
        for (auto& slot : slots_) {
            slot->sending.wait("other ranks to take the words of this one");
            slot->hearing.wait("other ranks to hear that their words are taken");
        }
        return sent_;
    }

private:
    static constexpr std::size_t ahead = 2;  // steps whose messages may come in before the first of them is taken
    enum Signal { words_ready, words_taken };
    struct Slot {
        explicit Slot(const Communicator& communicator)
            : sending(communicator), hearing(communicator), receiving(communicator), own(index(communicator.size())) {}
        [[nodiscard]] bool pending() const { return sending.pending() || hearing.pending() || receiving.pending(); }
        Transfers sending;
        Transfers hearing;             // of ranks of this node
        Transfers receiving;           // from other nodes
        std::vector<const Word*> own;  // by owner, words of this rank that it keeps or forwards itself
    };

    // Words of a chunk in a buffer.
    [[nodiscard]] std::size_t place() const { return chunks_.size() + extra_; }
    static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
    Slot& slot(std::size_t step) { return *slots_[step % slots_.size()]; }
    // Distance 1 is the next rank: ranks begin with different partners, so that no rank is asked by all at once.
    int partner(int distance) const { return (communicator_->rank() + distance) % communicator_->size(); }
    int reverse_partner(int distance) const { return (communicator_->rank() + communicator_->size() - distance) % communicator_->size(); }
    bool is_neighbour(int rank) const { return nodes_.together(rank, communicator_->rank()); }
    // Where a rank of this node leaves its words for an owner.
    Word* out(int from, int owner, std::size_t step) {
        const std::size_t ranks = index(communicator_->size());
        return outs_.data() + ((nodes_.place(from) * slots_.size() + step % slots_.size()) * ranks + index(owner)) * place();
    }
    Word* in(std::size_t message, std::size_t step) { return ins_.data() + (step % ahead * messages_ + message) * place(); }

    // Whom a rank gives its words for an owner.
    int relay(int from, int owner) const {
        if (nodes_.together(from, owner)) return owner;
        const auto& ranks = adding_.ranks_of(adding_.of(from));
        return ranks[nodes_.place(owner) % ranks.size()];
    }
    std::vector<int> owners_left_with(int relay_rank, int from) const {
        std::vector<int> owners;
        for (int distance = 1; distance <= communicator_->size(); ++distance) {
            if (relay(from, partner(distance)) == relay_rank) owners.push_back(partner(distance));
        }
        return owners;
    }
    bool has_chunks(const std::vector<int>& owners, std::size_t step) const {
        return std::any_of(owners.begin(), owners.end(), [&](int owner) { return chunks_.count(owner, step) > 0; });
    }
    // Whether messages for this rank's slice come from there, and whether they do in this sum.
    bool is_sender(int from) const { return !is_neighbour(from) && relay(from, communicator_->rank()) == from; }
    bool sends(int from, const std::vector<bool>& gives) const {
        const auto& ranks = adding_.ranks_of(adding_.of(from));
        return is_sender(from) && std::any_of(ranks.begin(), ranks.end(), [&](int rank) { return gives[index(rank)]; });
    }

    // Also makes ready for the word of this node's ranks that theirs are there.
    void receive(std::size_t step, const std::vector<bool>& gives) {
        for (const int from : neighbours_) {
            if (from != communicator_->rank() && gives[index(from)] && has_chunks(left_here_, step))
                slot(step).hearing.expect(words_ready, from);
        }
        const std::size_t n = chunks_.count(communicator_->rank(), step);
        if (n == 0) return;
        std::size_t messages = 0;
        for (int distance = 1; distance < communicator_->size(); ++distance) {
            const int from = reverse_partner(distance);
            if (sends(from, gives)) slot(step).receiving.receive(in(messages++, step), (n + extra_) * sizeof(Word), from);
        }
    }

    template <class Source>
    void send(std::size_t step, const std::vector<bool>& gives, Source& source) {
        Slot& s = slot(step);
        s.sending.wait("other ranks to take the words of this one");
        const int me = communicator_->rank();
        if (!gives[index(me)]) return;
        const bool is_alone = adding_.ranks_of(adding_.of(me)).size() == 1;
        for (std::size_t next = 1; next <= neighbours_.size(); ++next) {
            const std::size_t to_place = (nodes_.place(me) + next) % neighbours_.size();
            const int to = neighbours_[to_place];
            for (const int owner : owners_[to_place]) {
                const std::size_t n = chunks_.count(owner, step);
                if (n == 0) continue;
                Word* const scratch = out(me, owner, step);
                const Word* const words = source(chunks_.first(owner, step), n, scratch);
                if (to == me) {
                    s.own[index(owner)] = words;
                    if (owner != me && is_alone) send_message(step, owner, words);
                } else {
                    if (words != scratch) std::copy_n(words, n + extra_, scratch);
                    sent_ += (n + extra_) * sizeof(Word);
                }
            }
            if (to == me || !has_chunks(owners_[to_place], step)) continue;
            s.sending.signal(words_ready, to);
            s.sending.expect(words_taken, to);
        }
    }
    void send_message(std::size_t step, int owner, const Word* words) {
        const std::size_t bytes = (chunks_.count(owner, step) + extra_) * sizeof(Word);
        slot(step).sending.send(words, bytes, owner);
        sent_ += bytes;
    }

    // The sum replaces this rank's own words, which nobody else reads.
    void forward(std::size_t step, const std::vector<bool>& gives) {
        Slot& s = slot(step);
        s.hearing.wait("the words of other ranks of the node");
        const int me = communicator_->rank();
        for (const int owner : left_here_) {
            if (is_neighbour(owner) || chunks_.count(owner, step) == 0) continue;
            parts_.clear();
            for (const int from : neighbours_) {
                if (gives[index(from)]) parts_.push_back(from == me ? s.own[index(owner)] : out(from, owner, step));
            }
            if (parts_.empty()) continue;
            Word* const sum = out(me, owner, step);
            add_parts(chunks_.count(owner, step) + extra_, std::span<const Word* const>(parts_), sum);
            send_message(step, owner, sum);
        }
    }

    template <class Sink>
    void take(std::size_t step, const std::vector<bool>& gives, Sink& sink) {
        Slot& s = slot(step);
        s.hearing.wait("the words of other ranks");
        s.receiving.wait("the words of other ranks");
        const int me = communicator_->rank();
        if (chunks_.count(me, step) > 0) {
            parts_.clear();
            std::size_t messages = 0;
            for (int distance = 0; distance < communicator_->size(); ++distance) {
                const int from = reverse_partner(distance);
                if (is_neighbour(from) && gives[index(from)]) parts_.push_back(from == me ? s.own[index(me)] : out(from, me, step));
                if (sends(from, gives)) parts_.push_back(in(messages++, step));
            }
            sink(chunks_.first(me, step), chunks_.count(me, step), std::span<const Word* const>(parts_));
        }
        for (const int from : neighbours_) {
            if (from != me && gives[index(from)] && has_chunks(left_here_, step)) s.hearing.signal(words_taken, from);
        }
    }

    const Communicator* communicator_;
    Nodes nodes_;
    Nodes adding_;  // ranks whose words are added up before they cross to another node
    Chunks chunks_;
    std::size_t extra_ = 0;
    bool forwards_;                         // whether some node has sums to make: the same on all ranks
    std::vector<int> neighbours_;           // with this rank
    std::vector<std::vector<int>> owners_;  // by place on this node: whose words this rank leaves with the rank there
    std::vector<int> left_here_;            // whose words other ranks of the node leave with this one
    std::size_t messages_ = 0;              // that this rank gets in a step, at most
    std::size_t sent_ = 0;
    Buffer<Word> outs_;  // of all ranks of this node, (place, slot, owner, chunk)
    Buffer<Word> ins_;   // (step, message, chunk)
    std::vector<std::unique_ptr<Slot>> slots_;
    std::vector<const Word*> parts_;
};

}  // namespace silosum
