// Why a secure sum is refused. The global model stays as it is; nothing that would open an update has left the silo that refuses.
#pragma once

#include <string>

#include "base/error.hpp"

namespace silosum {

enum class Refusal {
    terms,              // the settings cannot protect anybody
    out_of_order,       // a step was asked for twice, or too early: also a second set of shares
    bad_message,        // cut, too long, or of another silo
    bad_signature,      // not by the silo that the roster names
    other_terms,        // another round, attempt, model, roster or configuration
    broken_promise,     // a number that is not the one committed to
    repeated_key,       // two silos, or two purposes, with one public key
    own_message,        // what the others got in this silo's name is not what it sent
    zero_secret,        // a public key that makes every shared secret zero
    bad_shares,         // sealed shares that cannot be opened, or are none
    too_few_trained,    // the sum would be over fewer silos that trained than agreed
    too_few_agree,      // too few signatures of the silos that this one saw
    too_few_shares,     // too many silos left: a mask cannot be opened
    range_given_twice,  // words under a mask that was used before
    changed_words,      // a silo gave other words to a sum on this model before, or no longer knows what it gave
    other_members,      // shares for a sum on this model over other silos have left before
    counts_leak,        // with the sums before, this one would show the sample count of a single silo
    wrong_sum,          // check words or counters say that the sum is not that of the members' words
    tampered            // tags say that words or sums were changed on their way
};

struct Refused : RuntimeError {
    Refused(Refusal why, const std::string& message) : RuntimeError("secure sum refused: " + message), reason(why) {}
    Refusal reason;
};

/// Throws Refused unless the condition holds.
template <class... Args>
void unless_refused(bool condition, Refusal why, fmt::format_string<Args...> text, Args&&... args) {
    if (!condition) throw Refused(why, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace silosum
