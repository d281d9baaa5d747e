#include "privacy/unmasking.hpp"

#include <algorithm>

#include "privacy/message.hpp"

namespace silosum {

namespace {

// How many sets of shares are tried where some are wrong: enough for any three of 32, any two of 100.
constexpr std::size_t most_tries = 5500;

// The shares that a release gives, after its signature was checked; nothing where the message is not one.
struct Released {
    std::uint32_t dealer = 0;
    ShareOf of = ShareOf::own_mask;
    shamir::Share share;
};

std::vector<Released> read_release(const SecureSession& session, std::uint32_t holder, const crypto::Bytes32& sums,
                                   const crypto::Bytes& message) {
    std::vector<Released> released;
    constexpr std::size_t entry = 5 + shamir::share_bytes;
    if (message.size() < 64 || (message.size() - 64) % entry != 0) return released;
    MessageReader reader(message);
    const crypto::View shares = reader.field(message.size() - 64);
    const auto signature = reader.field<64>();
    if (!session.is_signed(holder, release_part(session, holder, sums, {shares.begin(), shares.end()}), signature)) return released;
    for (MessageReader each(shares); released.size() < shares.size() / entry;) {
        Released one;
        one.dealer = each.number<std::uint32_t>();
        const auto of = each.number<std::uint8_t>();
        const crypto::View bytes = each.field(shamir::share_bytes);
        if (one.dealer >= session.terms().silos || (of != 1 && of != 2)) return {};
        const auto share = shamir::from_bytes(session.place_of(holder, one.dealer), bytes);
        if (!share) return {};
        one.of = static_cast<ShareOf>(of);
        one.share = *share;
        released.push_back(one);
    }
    return released;
}

// The next choice of ascending numbers below `count`, in lexicographic order; false after the last.
bool next_choice(std::vector<std::size_t>& choice, std::size_t count) {
    for (std::size_t i = choice.size(); i-- > 0;) {
        if (choice[i] + (choice.size() - i) >= count) continue;
        ++choice[i];
        for (std::size_t k = i + 1; k < choice.size(); ++k) choice[k] = choice[k - 1] + 1;
        return true;
    }
    return false;
}

// Which of the shares rebuild a secret that is right: the first of all, of all but one, of all but two, ... as often as is worth it.
// Nothing where none of them does.
template <class Check>
std::vector<std::size_t> find_good_shares(const std::vector<GivenShare>& shares, std::size_t threshold, Check&& are_right) {
    std::size_t tries = 0;
    for (std::size_t without = 0; without + threshold <= shares.size(); ++without) {
        std::vector<std::size_t> left_out(without);
        for (std::size_t i = 0; i < without; ++i) left_out[i] = i;
        do {
            if (++tries > most_tries) return {};
            std::vector<std::size_t> chosen;
            for (std::size_t i = 0; chosen.size() < threshold; ++i) {
                if (std::find(left_out.begin(), left_out.end(), i) == left_out.end()) chosen.push_back(i);
            }
            if (are_right(chosen)) return chosen;
        } while (next_choice(left_out, threshold + without));  // leaving out one behind those changes nothing
    }
    return {};
}

}  // namespace

crypto::Bytes release_part(const SecureSession& session, std::uint32_t silo, const crypto::Bytes32& sums, const crypto::Bytes& shares) {
    return MessageWriter().label("silosum/v1/release").field(session.id()).number(silo).field(sums).field(shares).bytes();
}

// The secret of a dealer, which must be what it promised in R1. liars: holders of whom a wrong share was seen; theirs are tried last.
crypto::Secret<32> Unmasking::rebuild(const SecureSession& session, std::uint32_t dealer, bool is_in, std::vector<GivenShare> shares,
                                      std::set<std::uint32_t>& liars) {
    std::stable_partition(shares.begin(), shares.end(), [&](const GivenShare& given) { return !liars.contains(given.holder); });
    const auto rebuilt = [&](const std::vector<std::size_t>& chosen) {
        std::vector<shamir::Share> some;
        for (const std::size_t i : chosen) some.push_back(shares[i].share);
        return shamir::rebuild(some);
    };
    const auto are_right = [&](const std::vector<std::size_t>& chosen) {
        const crypto::Secret<32> secret = rebuilt(chosen);
        const SilosKeys& keys = session.keys_of(dealer);
        return is_in ? crypto::equal(promise_of(session.terms(), dealer, "own mask", secret.view()), keys.promise)
                     : crypto::equal(crypto::public_key_of(secret), keys.masking_key);
    };
    const auto good = find_good_shares(shares, session.terms().threshold, are_right);
    unless_refused(!good.empty(), Refusal::too_few_shares, "{} good shares of the secrets of {} are needed, of {} that came",
                   session.terms().threshold, session.name(dealer), shares.size());
    // A share that is not needed may be wrong too. All are looked at where one was: that costs as much as rebuilding, each.
    const bool all_were_good = good.front() == 0 && good.back() + 1 == good.size();
    for (std::size_t i = 0; i < shares.size(); ++i) {
        const std::uint32_t holder = shares[i].holder;
        if ((all_were_good && !liars.contains(holder)) || std::find(good.begin(), good.end(), i) != good.end()) continue;
        std::vector<std::size_t> with = good;
        with.front() = i;
        if (are_right(with)) continue;
        liars.insert(holder);
        complaints_.push_back(fmt::format("the share of {} that {} released does not fit", session.name(dealer), session.name(holder)));
    }
    return rebuilt(good);
}

Unmasking::Unmasking(const SecureSession& session, const SumMembers& members, const std::vector<crypto::Bytes>& releases,
                     const crypto::Bytes32& sums) {
    const SecureTerms& terms = session.terms();
    std::vector<std::vector<GivenShare>> shares(terms.silos);
    for (std::uint32_t holder = 0; holder < terms.silos && holder < releases.size(); ++holder) {
        if (releases[holder].empty()) continue;
        const auto released = read_release(session, holder, sums, releases[holder]);
        if (released.empty()) complaints_.push_back(fmt::format("the shares that {} released are no message of it", session.name(holder)));
        for (const Released& one : released) {
            const ShareOf wanted = members.is_in[one.dealer] ? ShareOf::own_mask : ShareOf::masking_key;
            auto& of_dealer = shares[one.dealer];  // those of one holder come one after the other
            if (one.of != wanted || (!of_dealer.empty() && of_dealer.back().holder == holder)) continue;
            of_dealer.push_back({holder, one.share});
        }
    }
    std::set<std::uint32_t> liars;
    for (std::uint32_t dealer = 0; dealer < terms.silos; ++dealer) {
        if (!session.is_there(dealer)) continue;
        const bool is_in = members.is_in[dealer];
        const auto secret = rebuild(session, dealer, is_in, std::move(shares[dealer]), liars);
        if (is_in) {
            add_own_mask(masks_, session, dealer, secret, kernels::Sign::minus);
            continue;
        }
        // The members still have their masks for the silo that left on the sum: as they put them there, with the other sign.
        for (const std::uint32_t neighbour : session.neighbours_of(dealer)) {
            if (!members.is_in[neighbour]) continue;
            add_pair_mask(masks_, session, neighbour, dealer, secret, session.keys_of(neighbour).masking_key, kernels::Sign::minus);
        }
    }
}

}  // namespace silosum
