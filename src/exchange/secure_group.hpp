// The silos of a secure federation as this rank sees them: the roster of all, the identities of those it hosts, and what the sums must
// stand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "comm/mpi.hpp"
#include "comm/rank_groups.hpp"
#include "exchange/exchange_config.hpp"
#include "privacy/identity.hpp"
#include "privacy/secure_plan.hpp"

namespace silosum {

/// Where a silo's secrets are drawn from.
using EntropyOf = std::function<crypto::Entropy&(std::uint32_t silo)>;

/// The entries of config.roster, names: of all silos by id. DataError where it names others than these, or not all of them.
[[nodiscard]] std::vector<RosterEntry> roster_of(const ExchangeConfig& config, const std::vector<std::string>& names);

class SecureGroup {
public:
    /// Collective. names: of all silos by id; hosted: ids of this rank's silos. Where a group of ranks hosts them, its first rank has their
    /// identities and takes the steps of the protocol for them: a group is one party. entropy: the system's but in tests. Throws the same
    /// AgreedError on all ranks where a key or the roster cannot be used, a silo is not in the roster, or nothing would protect the silos.
    SecureGroup(
        const Communicator& communicator, const ExchangeConfig& config, const std::vector<std::string>& names,
        const std::vector<std::uint32_t>& hosted, int ranks_per_silo = 1,
        EntropyOf entropy = [](std::uint32_t) -> crypto::Entropy& { return crypto::system_entropy(); });

    [[nodiscard]] const Communicator& communicator() const { return communicator_; }
    [[nodiscard]] const RankGroups& ranks() const { return ranks_; }
    /// The rank that hosts a silo, the first of a group; -1 where it has died.
    [[nodiscard]] int host_of(std::uint32_t silo) const { return hosts_[silo]; }
    /// By id of the silo.
    [[nodiscard]] const std::vector<RosterEntry>& roster() const { return roster_; }
    [[nodiscard]] const crypto::Bytes32& roster_hash() const { return roster_hash_; }
    [[nodiscard]] std::map<std::uint32_t, Identity>& identities() { return identities_; }
    [[nodiscard]] const Identity& identity_of(std::uint32_t silo) const { return identities_.at(silo); }
    [[nodiscard]] crypto::Entropy& entropy_of(std::uint32_t silo) const { return entropy_(silo); }
    [[nodiscard]] const SecurePlan& plan() const { return plan_; }
    [[nodiscard]] kernels::Cipher cipher() const { return cipher_; }
    [[nodiscard]] bool wants_tags() const { return wants_tags_; }
    [[nodiscard]] bool accepts_count_leaks() const { return accepts_count_leaks_; }
    /// Collective over the ranks that are left. Silos that have no rank any more have no host, and are absent from all attempts. Throws the
    /// same AgreedError on all ranks where a sum over other silos might be a second one of the model that they have: after a death between
    /// the first signature of the members and the end of the sum, a rank that died may have given shares.
    void go_on_with(const Communicator& survivors);
    /// Whether a sum stands between the two. Set before the signatures leave.
    void set_releasing(bool is_releasing) { is_releasing_ = is_releasing; }
    /// Hash of the global model that the silos of this rank have now; before there is one, the same
    /// for all runs: what is summed then is a function of the data alone.
    [[nodiscard]] const crypto::Bytes32& model_hash() const { return model_hash_; }
    void set_model_hash(const crypto::Bytes32& hash) { model_hash_ = hash; }
    /// Where silos of different domains share a process or nobody vouches for their keys, there is nobody to protect them from.
    [[nodiscard]] bool is_simulation() const { return !why_simulation_.empty(); }
    /// What this federation may claim, in a sentence.
    [[nodiscard]] std::string claim() const;

private:
    void take_roster(const ExchangeConfig& config, const std::vector<std::string>& names);
    void find_hosts(std::size_t silos, bool are_all_there);
    void make_throwaways(const std::vector<std::string>& names);

    Communicator communicator_;
    RankGroups ranks_;
    std::vector<std::uint32_t> hosted_;
    EntropyOf entropy_;
    std::vector<int> hosts_;                        // by id
    std::map<std::uint32_t, Identity> identities_;  // by id, of this rank's silos; none on later ranks of a group
    std::vector<RosterEntry> roster_;
    crypto::Bytes32 roster_hash_{};
    SecurePlan plan_;
    kernels::Cipher cipher_ = kernels::Cipher::aes128_ctr;
    bool wants_tags_ = false;
    bool accepts_count_leaks_ = false;
    crypto::Bytes32 model_hash_{};
    std::string why_simulation_;
    bool is_releasing_ = false;
};

}  // namespace silosum
