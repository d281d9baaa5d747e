// Messages of the secure sum, put together by libFuzzer: whatever comes is refused or harmless. A silo never crashes, never goes on after a
// refusal, and never gives out a sum that is not that of the members' words.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "privacy/loopback.hpp"

namespace silosum {
namespace {

constexpr std::uint32_t silos = 4;

void must(bool condition) {
    if (!condition) std::abort();
}

// The first bytes say where and how, the rest is the message or what is done to it.
struct Attack {
    std::uint8_t place = 0;
    std::uint8_t silo = 0;
    std::uint8_t way = 0;
    std::span<const std::uint8_t> bytes;

    void apply(crypto::Bytes& message) const {
        switch (way % 4) {
            case 0:
                message.assign(bytes.begin(), bytes.end());
                break;
            case 1:
                for (std::size_t i = 0; i < bytes.size() && i < message.size(); ++i) message[i] ^= bytes[i];
                break;
            case 2:
                message.resize(bytes.empty() ? 0 : message.size() * bytes[0] / 255);
                break;
            default:
                message.insert(message.end(), bytes.begin(), bytes.end());
        }
    }
};

void run(Loopback& fed, const Attack& attack) {
    const std::uint32_t silo = attack.silo % silos;
    const int place = attack.place % 7;
    for (auto& party : fed.parties) fed.promises.push_back(party->promise());
    if (place == 0) attack.apply(fed.promises[silo]);
    for (auto& party : fed.parties) fed.keys.push_back(party->keys(fed.promises));
    if (place == 1) attack.apply(fed.keys[silo]);
    fed.open_session();
    fed.deal_shares();
    if (place == 2) attack.apply(fed.letters[attack.silo % fed.letters.size()].bytes);
    fed.hand_over_shares();
    fed.enter(none(silos));
    auto sums = sum_members<std::uint32_t>(fed, none(silos), 1, words32);
    if (place == 3) attack.apply(fed.entries[silo]);
    fed.agree(none(silos));
    if (place == 4) attack.apply(fed.signatures[silo]);
    if (fed.terms.wants_tags) {
        fed.tag(1, sums.sent, sums.masked);
        if (place == 6) attack.apply(fed.tags[silo]);
        fed.check_tags();
    }
    fed.release(none(silos));
    if (place == 5) attack.apply(fed.releases[silo]);
    Unmasking unmasking(*fed.session, fed.members, fed.releases, fed.sums);
    unmasking.take_off(1, 0, std::span(sums.masked));
    // An empty entry makes a member one that left: its words are in this sum then, which check words would tell.
    must(sums.masked == sums.plain || !fed.members.is_in[silo]);
}

}  // namespace
}  // namespace silosum

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace silosum;
    if (size < 3) return 0;
    const Attack attack{data[0], data[1], data[2], {data + 3, size - 3}};
    SecureTerms terms = terms_of(silos);
    terms.wants_tags = (attack.way & 4) != 0;
    Loopback fed(terms);
    try {
        run(fed, attack);
    } catch (const Refused&) {
        // One that refused takes no further step; the others give shares only where enough have signed the same members.
        for (auto& party : fed.parties) {
            try {
                (void)party->unmask(fed.signatures);
                must(fed.signatures.size() >= fed.terms.quorum());
            } catch (const Refused&) {
            }
        }
    }
    return 0;
}
