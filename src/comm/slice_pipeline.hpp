// Reduce-scatter by slices over messages between pairs of ranks: every rank sends each owner its part of the owner's slice, and the
// owner sees all parts of a chunk at once. Chunks overlap: chunk k is on the wire while the source makes chunk k + 1. Buffers are
// made once, as fresh memory for each call costs as much as the transport (page faults).
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
#include "comm/slices.hpp"

namespace silosum {

template <class Word>
class SlicePipeline {
public:
    /// step_bytes: what a rank sends in one step to all others together; memory is four times that. The communicator must outlive it.
    SlicePipeline(const Communicator& communicator, const Slices& slices, std::size_t step_bytes)
        : communicator_(&communicator), slices_(slices) {
        const std::size_t ranks = static_cast<std::size_t>(communicator.size());
        const std::size_t wanted = step_bytes / ranks / sizeof(Word) / Slices::block * Slices::block;
        chunk_ = std::clamp(wanted, Slices::block, std::max(Slices::block, slices.largest()));
        for (auto& slot : slots_) {
            slot = std::make_unique<Slot>(communicator);
            slot->out = Buffer<Word>(ranks * chunk_);
            slot->in = Buffer<Word>((ranks - 1) * chunk_);
        }
    }
    ~SlicePipeline() {
        // After a missed deadline MPI still knows these buffers: they must never be given to anybody else.
        for (auto& slot : slots_) {
            if (slot->sending.pending() || slot->receiving.pending()) (void)slot.release();
        }
    }
    SlicePipeline(const SlicePipeline&) = delete;
    SlicePipeline& operator=(const SlicePipeline&) = delete;

    /// Collective. gives[r]: whether rank r has words; the same on all ranks; others count as zero.
    /// source(begin, n, scratch) returns n words from coordinate `begin`: filled into scratch, or elsewhere and kept until the end.
    /// sink(begin, n, parts) gets the words of all ranks that give, for n coordinates of this rank's slice, chunk after chunk.
    /// Returns the bytes this rank sent.
    template <class Source, class Sink>
    std::size_t run(const std::vector<bool>& gives, Source&& source, Sink&& sink) {
        const std::size_t steps = (slices_.largest() + chunk_ - 1) / chunk_;
        sent_ = 0;
        for (std::size_t step = 0; step < std::min(steps, depth); ++step) receive(step, gives);
        for (std::size_t step = 0; step < steps + depth - 1; ++step) {
            if (step < steps && gives[index(communicator_->rank())]) send(step, source);
            if (step < depth - 1) continue;
            const std::size_t ready = step - (depth - 1);
            take(ready, gives, sink);
            if (ready + depth < steps) receive(ready + depth, gives);
        }
        for (auto& slot : slots_) slot->sending.wait("other ranks to receive the words of this one");
        return sent_;
    }

private:
    static constexpr std::size_t depth = 2;
    struct Slot {
        explicit Slot(const Communicator& communicator) : sending(communicator), receiving(communicator) {}
        Buffer<Word> out;  // (ranks, chunk)
        Buffer<Word> in;   // (ranks - 1, chunk)
        const Word* own = nullptr;
        Transfers sending;
        Transfers receiving;
    };

    static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
    Slot& slot(std::size_t step) { return *slots_[step % depth]; }
    // Coordinates of a rank's slice that belong to a step.
    std::size_t first(int rank, std::size_t step) const { return slices_.begin(rank) + std::min(slices_.size(rank), step * chunk_); }
    std::size_t count(int rank, std::size_t step) const { return first(rank, step + 1) - first(rank, step); }
    // Distance 1 is the next rank: ranks begin with different partners, so that no rank is asked by all at once.
    int partner(int distance) const { return (communicator_->rank() + distance) % communicator_->size(); }
    int reverse_partner(int distance) const { return (communicator_->rank() + communicator_->size() - distance) % communicator_->size(); }

    void receive(std::size_t step, const std::vector<bool>& gives) {
        const std::size_t n = count(communicator_->rank(), step);
        for (int distance = 1; distance < communicator_->size(); ++distance) {
            const int from = reverse_partner(distance);
            if (n > 0 && gives[index(from)]) {
                slot(step).receiving.receive(slot(step).in.data() + index(distance - 1) * chunk_, n * sizeof(Word), from);
            }
        }
    }

    template <class Source>
    void send(std::size_t step, Source& source) {
        Slot& s = slot(step);
        s.sending.wait("other ranks to receive the words of this one");
        for (int distance = 1; distance <= communicator_->size(); ++distance) {
            const int to = partner(distance);
            const std::size_t n = count(to, step);
            if (n == 0) continue;
            const Word* words = source(first(to, step), n, s.out.data() + index(to) * chunk_);
            if (to == communicator_->rank()) {
                s.own = words;
            } else {
                s.sending.send(words, n * sizeof(Word), to);
                sent_ += n * sizeof(Word);
            }
        }
    }

    template <class Sink>
    void take(std::size_t step, const std::vector<bool>& gives, Sink& sink) {
        Slot& s = slot(step);
        s.receiving.wait("the words of other ranks");
        const int me = communicator_->rank();
        if (count(me, step) == 0) return;
        parts_.clear();
        if (gives[index(me)]) parts_.push_back(s.own);
        for (int distance = 1; distance < communicator_->size(); ++distance) {
            if (gives[index(reverse_partner(distance))]) parts_.push_back(s.in.data() + index(distance - 1) * chunk_);
        }
        sink(first(me, step), count(me, step), std::span<const Word* const>(parts_));
    }

    const Communicator* communicator_;
    Slices slices_;
    std::size_t chunk_ = 0;
    std::size_t sent_ = 0;
    std::array<std::unique_ptr<Slot>, depth> slots_;
    std::vector<const Word*> parts_;
};

}  // namespace silosum
