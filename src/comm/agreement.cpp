#include "comm/agreement.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

// A full disk may fail on a thousand ranks, each with the name of another file.
constexpr std::size_t most_messages = 8;

// A word of each rank. What a rank has found out holds, whatever the network gives back of its own word.
std::vector<std::uint32_t> words_of_all(const Communicator& communicator, std::uint32_t own, const std::function<void()>& not_heard) {
    auto words = all_gather(communicator, own);
    if (words[static_cast<std::size_t>(communicator.rank())] != own) not_heard();
    return words;
}

std::string ranks_text(const std::vector<std::string>& ranks) {
    return (ranks.size() == 1 ? "rank " : "ranks ") + join(ranks, ", ");
}

}  // namespace

void agree_on_error(const Communicator& communicator, const std::optional<Error>& error) {
    const std::uint32_t own = error ? static_cast<std::uint32_t>(error->code()) : 0U;
    const auto codes = words_of_all(communicator, own, [&] {
        if (error) throw *error;
    });
    const auto failed = std::find_if(codes.begin(), codes.end(), [](std::uint32_t code) { return code != 0; });
    if (failed == codes.end()) return;

    const auto texts = all_gather_text(communicator, error ? error->what() : "");
    std::vector<std::string> messages;  // different ones, in order of rank
    std::vector<std::vector<std::string>> ranks;
    for (std::size_t rank = 0; rank < codes.size(); ++rank) {
        if (codes[rank] == 0) continue;
        const auto known = std::find(messages.begin(), messages.end(), texts[rank]);
        const auto place = static_cast<std::size_t>(known - messages.begin());
        if (known == messages.end()) {
            messages.push_back(texts[rank]);
            ranks.emplace_back();
        }
        ranks[place].push_back(std::to_string(rank));
    }
    const bool all_say_the_same = ranks.front().size() == codes.size();
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < std::min(messages.size(), most_messages); ++i) {
        lines.push_back(all_say_the_same ? messages[i] : ranks_text(ranks[i]) + ": " + messages[i]);
    }
    if (messages.size() > most_messages) lines.push_back(fmt::format("and {} more of this kind", messages.size() - most_messages));
    throw AgreedError(static_cast<ExitCode>(*failed), join(lines, "\n"));
}

bool is_on_any(const Communicator& communicator, bool is_here) {
    const auto words = words_of_all(communicator, is_here ? 1 : 0, [&] {
        require<RuntimeError>(!is_here, "what rank {} told the others did not arrive: the job cannot go on", communicator.rank());
    });
    return std::find(words.begin(), words.end(), 1U) != words.end();
}

std::vector<std::string> texts_or_error(const Communicator& communicator, const std::string& text, const std::optional<Error>& error) {
    constexpr std::uint64_t failed = ~std::uint64_t{0};  // in place of a length
    const auto sizes = all_gather(communicator, error ? failed : text.size());
    const bool has_failed = std::find(sizes.begin(), sizes.end(), failed) != sizes.end();
    if (has_failed) agree_on_error(communicator, error);
    if (error) throw *error;
    require<RuntimeError>(!has_failed, "a rank said that it failed, and then that it did not");
    return all_gather_text(communicator, text, sizes);
}

void agree_on_error_of_first(const Communicator& communicator, const std::optional<Error>& error) {
    std::uint32_t code = error ? static_cast<std::uint32_t>(error->code()) : 0;
    broadcast(communicator, std::span<std::uint32_t>(&code, 1), 0);
    if (code == 0) return;
    std::string text = error ? error->what() : "";
    broadcast_text(communicator, text, 0);
    throw AgreedError(static_cast<ExitCode>(code), text);
}

}  // namespace silosum
