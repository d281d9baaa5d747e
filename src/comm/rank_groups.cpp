#include "comm/rank_groups.hpp"

#include "base/error.hpp"

namespace silosum {

RankGroups::RankGroups(const Communicator& communicator, int each)
    : own_([&] {
          require(each > 0 && communicator.size() % each == 0, "{} ranks cannot be cut into groups of {}", communicator.size(), each);
          return communicator.split(communicator.rank() / each);
      }()),
      peers_(communicator.split(communicator.rank() % each)) {}

}  // namespace silosum
