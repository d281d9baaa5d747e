#include "exchange/secure_group.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "base/text.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "privacy/message.hpp"

namespace silosum {

SecureGroup::SecureGroup(const Communicator& communicator, const ExchangeConfig& config, const std::vector<std::string>& names,
                         const std::vector<std::uint32_t>& hosted, int ranks_per_silo, EntropyOf entropy)
    : communicator_(communicator.duplicate(config.deadline_s)),
      ranks_(communicator_, ranks_per_silo),
      hosted_(ranks_.is_first() ? hosted : std::vector<std::uint32_t>()),
      entropy_(std::move(entropy)),
      cipher_(config.cipher == "chacha20" ? kernels::Cipher::chacha20 : kernels::Cipher::aes128_ctr),
      wants_tags_(config.integrity == "tags"),
      accepts_count_leaks_(config.count_leak == "accept") {
    find_hosts(names.size(), true);
    if (config.identities == "roster") {
        take_roster(config, names);
    } else {
        make_throwaways(names);
    }
    roster_hash_ = hash_of_roster(roster_);
    model_hash_ = crypto::sha256({MessageWriter().label("silosum/v1/before").bytes()});
    succeed_on_all(communicator_, [&] {
        plan_ = plan_secure_sum(roster_, {.graph = config.graph, .corrupt = config.corrupt, .dropouts = config.dropouts});
    });
    std::set<std::uint32_t> domains;
    const auto of_silo = domains_of(roster_);
    for (const std::uint32_t silo : hosted_) domains.insert(of_silo[silo]);
    std::vector<std::uint64_t> shares_process{domains.size() > 1 ? 1U : 0U};
    all_reduce_max(communicator_, std::span<std::uint64_t>(shares_process));
    if (config.identities == "throwaway") {
        why_simulation_ = "identities are thrown away at the end, and nobody vouches for them";
    } else if (shares_process[0] != 0) {
        why_simulation_ = "silos of different domains share a process";
    }
}

void SecureGroup::go_on_with(const Communicator& survivors) {
    communicator_ = survivors.duplicate(communicator_.deadline_s());
    ranks_ = RankGroups(communicator_, 1);
    find_hosts(roster_.size(), false);
    if (is_on_any(communicator_, is_releasing_)) {
        throw AgreedError(
            ExitCode::runtime,
            "a rank died when it may have given shares of its silos for a sum: no other silos may be summed on this model. Start "
            "all ranks again, with run.resume = auto: the sum is then done over the same silos, or refused");
    }
}

void SecureGroup::find_hosts(std::size_t silos, bool are_all_there) {
    std::string mine;
    for (const std::uint32_t silo : hosted_) mine += std::to_string(silo) + "\n";
    const auto texts = all_gather_text(communicator_, mine);
    succeed_on_all(communicator_, [&] {
        hosts_.assign(silos, -1);
        for (std::size_t rank = 0; rank < texts.size(); ++rank) {
            for (const auto& line : split(texts[rank], '\n')) {
                if (line.empty()) continue;
                const std::size_t silo = std::stoul(line);
                require<RuntimeError>(silo < silos && hosts_[silo] < 0, "rank {} hosts silo {}, which is none or another rank's", rank,
                                      line);
                hosts_[silo] = static_cast<int>(rank);
            }
        }
        const auto missing = are_all_there ? std::find(hosts_.begin(), hosts_.end(), -1) : hosts_.end();
        require<RuntimeError>(missing == hosts_.end(), "no rank hosts silo {}", missing - hosts_.begin());
        for (int group = 0; group < ranks_.count() && wants_tags_; ++group) {
            const int rank = ranks_.rank_of(group);
            require(std::find(hosts_.begin(), hosts_.end(), rank) != hosts_.end(),
                    "exchange.integrity = tags: rank {} hosts no silo that could sign for its part of the sum; start at most {} ranks",
                    rank, silos * static_cast<std::size_t>(ranks_.each()));
        }
    });
}

std::vector<RosterEntry> roster_of(const ExchangeConfig& config, const std::vector<std::string>& names) {
    const auto entries = read_roster(config.roster, today());
    std::vector<RosterEntry> roster;
    for (const auto& name : names) {
        const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.name == name; });
        require<DataError>(found != entries.end(), "exchange.roster: {} has no entry for silo \"{}\"; add what `silosum keygen` printed",
                           config.roster, name);
        roster.push_back(*found);
    }
    for (const auto& entry : entries) {
        require<DataError>(
            std::find(names.begin(), names.end(), entry.name) != names.end(),
            "exchange.roster: {} names silo \"{}\", which has no shard in data.shards; all silos of a roster are in a sum, or "
            "fewer corrupt ones would do: use a roster of those that take part",
            config.roster, entry.name);
    }
    return roster;
}

// Every rank reads the roster itself: a silo trusts its own copy only.
void SecureGroup::take_roster(const ExchangeConfig& config, const std::vector<std::string>& names) {
    succeed_on_all(communicator_, [&] {
        roster_ = roster_of(config, names);
        for (const std::uint32_t silo : hosted_) {
            Identity identity = Identity::in_folder(config.keys, names[silo]);
            require<DataError>(
                crypto::equal(identity.keys.public_key, roster_[silo].public_key),
                "the key of silo \"{}\" in {} is not the one that the roster {} has for it: put there the entry that `silosum keygen` "
                "printed with this key",
                names[silo], config.keys, config.roster);
            identities_.emplace(silo, std::move(identity));
        }
    });
}

void SecureGroup::make_throwaways(const std::vector<std::string>& names) {
    std::string mine;
    succeed_on_all(communicator_, [&] {
        for (const std::uint32_t silo : hosted_) {
            const auto made = identities_.emplace(silo, Identity::throwaway(names[silo], entropy_of(silo))).first;
            mine += fmt::format("{} {}\n", silo, crypto::hex(made->second.keys.public_key));
        }
    });
    for (const auto& name : names) roster_.push_back({.name = name, .public_key = {}, .domain = {}});
    for (const auto& text : all_gather_text(communicator_, mine)) {
        for (const auto& line : split(text, '\n')) {
            const auto words = split(line, ' ');
            if (words.size() != 2) continue;
            const auto silo = std::stoul(words[0]);
            const auto key = crypto::from_hex(words[1], 32);
            require<RuntimeError>(silo < roster_.size() && key.has_value(), "a rank gave a key that is none: {}", line);
            std::copy(key->begin(), key->end(), roster_[silo].public_key.begin());
        }
    }
}

std::string SecureGroup::claim() const {
    if (is_simulation()) return "simulation: no privacy claimed, as " + why_simulation_;
    const std::string together = plan_.corrupt_domains == 0
                                     ? fmt::format("no two of {} domains", plan_.domains)
                                     : fmt::format("fewer than {} of {} domains", plan_.corrupt_domains + 1, plan_.domains);
    return fmt::format(
        "no silo, rank or relay learns another silo's update as long as {} work together; under one user id this holds against the wire, "
        "relays, logs and accidents, not against other processes of that user{}",
        together, ranks_.each() > 1 ? "; the network between the ranks of a silo's group is trusted" : "");
}

}  // namespace silosum
