#include "commands/keygen.hpp"

#include <filesystem>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/error.hpp"
#include "commands/verb_options.hpp"
#include "privacy/identity.hpp"

namespace silosum {

namespace {

constexpr const char* usage =
    "usage: silosum keygen --silo NAME --valid-until YYYY-MM-DD [--folder DIR] [--domain NAME]\n\n"
    "Makes the key by which a silo signs in secure sums, DIR/NAME.key, readable by you only; it never leaves the silo. Prints the silo's "
    "entry\n"
    "for the roster: give it to the others by a way that they trust. A roster holds the entries of all silos,\n"
    "  {\"format\": \"silosum-roster\", \"version\": 1, \"silos\": [ENTRY, ENTRY, ...]}\n"
    "and every silo keeps a copy of its own (exchange.roster). See docs/secure-sum.md.\n\n";

}  // namespace

int run_keygen(const std::vector<std::string>& arguments) {
    namespace po = boost::program_options;
    std::string silo;
    std::string folder;
    std::string domain;
    std::string valid_until;
    po::options_description options("Options");
    options.add_options()("silo", po::value(&silo)->required(), "the silo's name, as in its shard")(
        "valid-until", po::value(&valid_until)->required(), "last day on which the others shall accept the key")(
        "folder", po::value(&folder)->default_value("."), "where the key goes; the silo's ledger will be kept beside it (exchange.keys)")(
        "domain", po::value(&domain), "organisation that can read the silo's data; silos of one domain count as one")("help", "this text");
    const auto given = read_verb_options(arguments, options);
    if (given.contains("help")) {
        fmt::print("{}{}", usage, fmt::streamed(options));
        return static_cast<int>(ExitCode::done);
    }
    const std::string entry = make_key_file(folder, silo, domain, valid_until, crypto::system_entropy());
    fmt::print(stderr, "wrote {} and its ledger beside it; keep them where nobody else can read it. The entry for the roster:\n",
               (std::filesystem::path(folder) / (silo + ".key")).string());
    fmt::print("{}\n", entry);
    return static_cast<int>(ExitCode::done);
}

}  // namespace silosum
