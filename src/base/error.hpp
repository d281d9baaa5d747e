// Errors that reach the user: one line that names the thing, the value and the remedy, and the exit code it ends with.
#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace silosum {

/// Exit codes of the program; scripts and jobs rely on them.
enum class ExitCode { done = 0, usage = 2, data = 3, runtime = 4, done_without_some = 5, stopped = 75 };

/// Base of everything thrown on purpose. `what()` is complete: main prints it as it is.
class Error : public std::runtime_error {
public:
    Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] ExitCode code() const { return code_; }

private:
    ExitCode code_;
};

/// Wrong command line or configuration.
struct UsageError : Error {
    explicit UsageError(const std::string& message) : Error(ExitCode::usage, message) {}
};

/// A data set, shard or model file that cannot be used.
struct DataError : Error {
    explicit DataError(const std::string& message) : Error(ExitCode::data, message) {}
};

/// Communication, input/output or a refused round.
struct RuntimeError : Error {
    explicit RuntimeError(const std::string& message) : Error(ExitCode::runtime, message) {}
};

/// An error that every rank throws with the same message and code, because the ranks agreed on it: one rank prints, all leave.
struct AgreedError : Error {
    using Error::Error;
};

/// What to tell users of an exception, also of those that are not ours.
inline std::string text_of(const std::exception& error) {
    if (dynamic_cast<const std::bad_alloc*>(&error) == nullptr) return error.what();
    return "out of memory; a smaller model (model.*) or batch (local.batch_size) needs less, more ranks share some of it, and `silosum "
           "plan "
           "CONFIG` shows what is needed";
}

/// Throws E with the formatted message unless the condition holds. For what users control; `assert` is for our mistakes.
template <class E = UsageError, class... Args>
void require(bool condition, fmt::format_string<Args...> text, Args&&... args) {
    if (!condition) throw E(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace silosum
