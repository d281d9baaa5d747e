#include "comm/lifelines.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

#include "comm/collectives.hpp"

namespace silosum {

Lifelines::Lifelines(const Communicator& communicator)
    : rank_(communicator.rank()), nodes_(communicator), neighbours_(nodes_.ranks_of(nodes_.of(rank_))), lines_([&] {
          std::size_t most = 0;
          for (std::size_t node = 0; node < nodes_.count(); ++node) most = std::max(most, nodes_.ranks_of(node).size());
          return shared_memory(communicator, nodes_, most * sizeof(Line));
      }()) {
    std::erase(neighbours_, rank_);
    new (&line_of(rank_)) Line{};
    pthread_mutexattr_t robust;
    pthread_mutexattr_init(&robust);
    pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&line_of(rank_).held, &robust);
    pthread_mutexattr_destroy(&robust);
    pthread_mutex_lock(&line_of(rank_).held);
    barrier(communicator);  // before anybody looks
}

Lifelines::Line& Lifelines::line_of(int rank) {
    return reinterpret_cast<Line*>(lines_.get())[nodes_.place(rank)];
}

Lifelines::~Lifelines() {
    pthread_mutex_unlock(&line_of(rank_).held);
}

bool Lifelines::is_cut(int neighbour) {
    Line& line = line_of(neighbour);
    if (line.is_cut) return true;
    const int code = pthread_mutex_trylock(&line.held);
    if (code == EBUSY) return line.is_cut;
    if (code == EOWNERDEAD) {
        line.is_cut = true;  // before others can have the lock
        pthread_mutex_consistent(&line.held);
    }
    if (code == 0 || code == EOWNERDEAD) pthread_mutex_unlock(&line.held);
    return line.is_cut;
}

}  // namespace silosum
