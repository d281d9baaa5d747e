// Reduce-scatter by slices: every rank gives each owner its part of the owner's slice, and the owner sees all parts of a chunk at once.
// Between nodes the parts are messages; ranks of a node leave them in shared memory, where the owner reads them in place. Chunks
// overlap: the source makes chunk k + 1 while chunk k is on its way. Buffers are made once, as fresh memory for each call costs as much
// as the transport (page faults).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "comm/mpi.hpp"
#include "comm/nodes.hpp"
#include "comm/slices.hpp"

namespace silosum {

template <class Word>
class SlicePipeline {
public:
    /// Collective. step_bytes: what a rank gives in one step to all others together; memory is four times that. extra: words that travel
    /// behind the words of every chunk. The communicator must outlive it.
    SlicePipeline(const Communicator& communicator, const Nodes& nodes, const Slices& slices, std::size_t step_bytes, std::size_t extra = 0)
        : communicator_(&communicator), nodes_(nodes), chunks_(slices, step_bytes, sizeof(Word)), extra_(extra) {
        const std::size_t ranks = static_cast<std::size_t>(communicator.size());
        const std::size_t neighbours = nodes.ranks_of(nodes.of(communicator.rank())).size();
        const std::size_t all_outs = depth * ranks * place();  // of one rank, (depth, owner, chunk)
        std::size_t most_neighbours = 0;
        for (std::size_t node = 0; node < nodes.count(); ++node) most_neighbours = std::max(most_neighbours, nodes.ranks_of(node).size());
        outs_ = most_neighbours > 1 ? shared_buffer<Word>(communicator, nodes, most_neighbours * all_outs) : Buffer<Word>(all_outs);
        for (std::size_t k = 0; k < depth; ++k) {
            slots_[k] = std::make_unique<Slot>(communicator);
            slots_[k]->in = Buffer<Word>((ranks - neighbours) * place());
        }
    }
    ~SlicePipeline() {
        // After a missed deadline MPI still knows these buffers: they must never be given to anybody else.
        bool pending = false;
        for (auto& slot : slots_) {
            if (!slot || !(slot->sending.pending() || slot->receiving.pending())) continue;
            (void)slot.release();
            pending = true;
        }
        if (pending) (void)new Buffer<Word>(std::move(outs_));
    }
    SlicePipeline(const SlicePipeline&) = delete;
    SlicePipeline& operator=(const SlicePipeline&) = delete;

    /// Collective. gives[r]: whether rank r has words; the same on all ranks; others count as zero.
    /// source(begin, n, scratch) returns n words from coordinate `begin`, and the extra ones behind: filled into scratch, or elsewhere and
    /// kept until the end.
    /// sink(begin, n, parts) gets the words of all ranks that give, for n coordinates of this rank's slice, chunk after chunk.
    /// Returns the bytes that others have from this rank.
    template <class Source, class Sink>
    std::size_t run(const std::vector<bool>& gives, Source&& source, Sink&& sink) {
        const std::size_t steps = chunks_.steps();
        sent_ = 0;
        for (std::size_t step = 0; step < std::min(steps, depth); ++step) receive(step, gives);
        for (std::size_t step = 0; step < steps + depth - 1; ++step) {
            if (step < steps && gives[index(communicator_->rank())]) send(step, source);
            if (step < depth - 1) continue;
            const std::size_t ready = step - (depth - 1);
            take(ready, gives, sink);
            if (ready + depth < steps) receive(ready + depth, gives);
        }
        for (auto& slot : slots_) {
            slot->sending.wait("other ranks to take the words of this one");
            slot->receiving.wait("other ranks to hear that their words are taken");
        }
        return sent_;
    }

private:
    static constexpr std::size_t depth = 2;
    enum Signal { words_ready, words_taken };
    struct Slot {
        explicit Slot(const Communicator& communicator) : sending(communicator), receiving(communicator) {}
        Buffer<Word> in;  // (ranks on other nodes, chunk)
        const Word* own = nullptr;
        Transfers sending;
        Transfers receiving;
    };

    // Words of a chunk in a buffer.
    [[nodiscard]] std::size_t place() const { return chunks_.size() + extra_; }
    static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
    Slot& slot(std::size_t step) { return *slots_[step % depth]; }
    // Distance 1 is the next rank: ranks begin with different partners, so that no rank is asked by all at once.
    int partner(int distance) const { return (communicator_->rank() + distance) % communicator_->size(); }
    int reverse_partner(int distance) const { return (communicator_->rank() + communicator_->size() - distance) % communicator_->size(); }
    bool is_neighbour(int rank) const { return nodes_.together(rank, communicator_->rank()); }
    // Where a rank of this node leaves its words for an owner.
    Word* out(int from, int owner, std::size_t step) {
        const std::size_t ranks = index(communicator_->size());
        return outs_.data() + ((nodes_.place(from) * depth + step % depth) * ranks + index(owner)) * place();
    }

    void receive(std::size_t step, const std::vector<bool>& gives) {
        const std::size_t n = chunks_.count(communicator_->rank(), step);
        if (n == 0) return;
        std::size_t messages = 0;
        for (int distance = 1; distance < communicator_->size(); ++distance) {
            const int from = reverse_partner(distance);
            if (!gives[index(from)]) continue;
            if (is_neighbour(from)) {
                slot(step).receiving.expect(words_ready, from);
            } else {
                slot(step).receiving.receive(slot(step).in.data() + messages++ * place(), (n + extra_) * sizeof(Word), from);
            }
        }
    }

    template <class Source>
    void send(std::size_t step, Source& source) {
        Slot& s = slot(step);
        s.sending.wait("other ranks to take the words of this one");
        for (int distance = 1; distance <= communicator_->size(); ++distance) {
            const int to = partner(distance);
            const std::size_t n = chunks_.count(to, step);
            if (n == 0) continue;
            Word* const scratch = out(communicator_->rank(), to, step);
            const Word* words = source(chunks_.first(to, step), n, scratch);
            if (to == communicator_->rank()) {
                s.own = words;
                continue;
            }
            if (is_neighbour(to)) {
                if (words != scratch) std::copy_n(words, n + extra_, scratch);
                s.sending.signal(words_ready, to);
                s.sending.expect(words_taken, to);
            } else {
                s.sending.send(words, (n + extra_) * sizeof(Word), to);
            }
            sent_ += (n + extra_) * sizeof(Word);
        }
    }

    template <class Sink>
    void take(std::size_t step, const std::vector<bool>& gives, Sink& sink) {
        Slot& s = slot(step);
        s.receiving.wait("the words of other ranks");
        const int me = communicator_->rank();
        if (chunks_.count(me, step) == 0) return;
        parts_.clear();
        std::size_t messages = 0;
        if (gives[index(me)]) parts_.push_back(s.own);
        for (int distance = 1; distance < communicator_->size(); ++distance) {
            const int from = reverse_partner(distance);
            if (gives[index(from)]) parts_.push_back(is_neighbour(from) ? out(from, me, step) : s.in.data() + messages++ * place());
        }
        sink(chunks_.first(me, step), chunks_.count(me, step), std::span<const Word* const>(parts_));
        for (int distance = 1; distance < communicator_->size(); ++distance) {
            const int from = reverse_partner(distance);
            if (gives[index(from)] && is_neighbour(from)) s.receiving.signal(words_taken, from);
        }
    }

    const Communicator* communicator_;
    Nodes nodes_;
    Chunks chunks_;
    std::size_t extra_ = 0;
    std::size_t sent_ = 0;
    Buffer<Word> outs_;  // of all ranks of this node, (place, depth, owner, chunk)
    std::array<std::unique_ptr<Slot>, depth> slots_;
    std::vector<const Word*> parts_;
};

}  // namespace silosum
