#include "round/round.hpp"

#include <algorithm>

namespace silosum {

bool Round::includes(std::uint32_t silo) const {
    return std::binary_search(participants.begin(), participants.end(), silo);
}

}  // namespace silosum
