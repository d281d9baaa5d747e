// One verdict for all ranks: an error on any rank becomes the same error, with the same exit code, on every rank.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "comm/mpi.hpp"
#include "comm/rank_died.hpp"

namespace silosum {

/// Collective. Returns when no rank has an error. Otherwise every rank throws the same AgreedError: the code of the lowest rank that
/// has an error, and the different messages (the first eight), a line each, with the ranks they come from. A rank whose error the others
/// are not told of throws it by itself, as no AgreedError.
void agree_on_error(const Communicator& communicator, const std::optional<Error>& error);

/// Collective. The error of rank 0, if it has one, becomes the same AgreedError on every rank; other ranks give nothing.
void agree_on_error_of_first(const Communicator& communicator, const std::optional<Error>& error);

/// What the work throws, or nothing. Exceptions that are not ours count as run time errors; RankDied passes.
template <class Work>
[[nodiscard]] std::optional<Error> error_of(Work&& work) {
    try {
        std::forward<Work>(work)();
    } catch (const Error& error) {
        return error;
    } catch (const RankDied&) {
        throw;
    } catch (const std::exception& error) {
        return Error(ExitCode::runtime, text_of(error));
    }
    return std::nullopt;
}

/// Collective. Does local work (no communication inside) on every rank; if it fails anywhere, all ranks throw that error.
template <class Work>
void succeed_on_all(const Communicator& communicator, Work&& work) {
    agree_on_error(communicator, error_of(std::forward<Work>(work)));
}

/// Collective. Whether it is so on any rank. A rank that said so, and is told by all that nobody has, throws RuntimeError by itself.
[[nodiscard]] bool is_on_any(const Communicator& communicator, bool is_here);

/// Collective. The text of every rank, or the error of those that have one, thrown on all.
[[nodiscard]] std::vector<std::string> texts_or_error(const Communicator& communicator, const std::string& text,
                                                      const std::optional<Error>& error);
/// Collective. The texts that local work makes on every rank, for all ranks; if it fails anywhere, all ranks throw that error. As
/// succeed_on_all() and all_gather_text(), with one step less.
template <class Work>
[[nodiscard]] std::vector<std::string> texts_from_all(const Communicator& communicator, Work&& work) {
    std::string text;
    const auto error = error_of([&] { text = std::forward<Work>(work)(); });
    return texts_or_error(communicator, text, error);
}

/// Collective. Rank 0 does local work for all; if it fails, all ranks throw that error as it is.
template <class Work>
void succeed_on_first(const Communicator& communicator, Work&& work) {
    std::optional<Error> error;
    if (communicator.rank() == 0) error = error_of(std::forward<Work>(work));
    agree_on_error_of_first(communicator, error);
}

}  // namespace silosum
