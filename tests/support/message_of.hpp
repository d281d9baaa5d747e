// The message of the error that a call throws, for tests of what users read.
#pragma once

#include <string>

namespace silosum {

/// what() of the E that the call throws; "nothing was thrown" if it returns. Other exceptions pass.
template <class E, class Call>
std::string message_of(const Call& call) {
    try {
        call();
    } catch (const E& error) {
        return error.what();
    }
    return "nothing was thrown";
}

}  // namespace silosum
