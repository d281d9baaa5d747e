#include "privacy/identity.hpp"

#include <cerrno>
#include <chrono>
#include <ctime>
#include <fstream>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "privacy/message.hpp"

namespace silosum {

namespace {

constexpr std::size_t most_key_bytes = 4096;

std::string reason() {
    return std::generic_category().message(errno);
}

// Closes with the last Identity that holds it, and gives up the lock.
std::shared_ptr<void> held(int file) {
    return {nullptr, [file](void*) { ::close(file); }};
}

// A day of the calendar as YYYY-MM-DD.
bool is_date(const std::string& text) {
    if (text.size() != 10) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_dash = i == 4 || i == 7;
        if (is_dash ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
    }
    const std::chrono::year_month_day day{std::chrono::year(std::stoi(text.substr(0, 4))),
                                          std::chrono::month(static_cast<unsigned>(std::stoi(text.substr(5, 2)))),
                                          std::chrono::day(static_cast<unsigned>(std::stoi(text.substr(8, 2))))};
    return day.ok();
}

void check_silo_name(const std::string& silo) {
    require(!silo.empty() && silo.find('/') == std::string::npos && silo.front() != '.',
            "a silo named \"{}\" cannot have a key file: the name must not be empty, begin with a dot or hold a slash", silo);
}

}  // namespace

Identity Identity::throwaway(const std::string& silo, crypto::Entropy& entropy) {
    Identity identity;
    identity.silo = silo;
    identity.keys = crypto::make_signing_keys(entropy);
    return identity;
}

Identity Identity::in_folder(const std::filesystem::path& folder, const std::string& silo) {
    check_silo_name(silo);
    const auto path = folder / (silo + ".key");
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    require<DataError>(file >= 0, "cannot read the key of silo \"{}\", {}: {}{}", silo, path.string(), reason(),
                       errno == ENOENT ? "; make one with `silosum keygen`" : "");
    Identity identity;
    identity.lock_ = held(file);
    struct stat status {};
    require<RuntimeError>(::fstat(file, &status) == 0, "cannot look at {}: {}", path.string(), reason());
    require<DataError>((status.st_mode & 077) == 0 && status.st_uid == ::geteuid(),
                       "the key {} can be read by others than its owner, or belongs to another user: chmod 600 it, and make a new one if "
                       "somebody may have seen it",
                       path.string());
    require(::flock(file, LOCK_EX | LOCK_NB) == 0, "the identity of silo \"{}\" ({}) is in use by another job: a silo has one at a time",
            silo, path.string());
    crypto::Secret<most_key_bytes> text;
    const ssize_t size = ::read(file, text.span().data(), text.size());
    require<RuntimeError>(size >= 0, "cannot read {}: {}", path.string(), reason());
    const auto view = text.view().first(static_cast<std::size_t>(size));
    const auto json = nlohmann::json::parse(view.begin(), view.end(), nullptr, false);
    const bool is_ours = json.is_object() && json.value("format", "") == "silosum-key" && json.value("version", 0) == 1;
    require<DataError>(is_ours, "{} is no key of silosum, or of a newer version", path.string());
    require<DataError>(json.value("silo", "") == silo, "the key {} is of silo \"{}\", not \"{}\"", path.string(), json.value("silo", ""),
                       silo);
    auto seed = crypto::from_hex(json.value("seed", ""), 32);
    require<DataError>(seed.has_value(), "{} is damaged: its seed is not 32 bytes as hex digits", path.string());
    identity.silo = silo;
    identity.keys = crypto::signing_keys_from(crypto::Secret<32>::copy_of(*seed));
    crypto::wipe(*seed);
    identity.ledger = Ledger::in_file(folder / (silo + ".ledger"), identity.keys.public_key);
    return identity;
}

crypto::Secret<32> Identity::tag_key(const crypto::Bytes32& context, const crypto::Bytes32& settings) const {
    MessageWriter info;
    info.label("silosum/v2/words").field(context);
    crypto::Secret<32> key;
    crypto::derive_key(settings, keys.seed.view(), info.bytes(), key.span());
    return key;
}

std::string make_key_file(const std::filesystem::path& folder, const std::string& silo, const std::string& domain,
                          const std::string& valid_until, crypto::Entropy& entropy) {
    check_silo_name(silo);
    require(is_date(valid_until), "--valid-until {}: must be a day as YYYY-MM-DD", valid_until);
    require(today() <= valid_until, "--valid-until {}: is over, today is {}", valid_until, today());
    if (!std::filesystem::is_directory(folder)) {
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        require<RuntimeError>(!error, "cannot make the folder {}: {}", folder.string(), error.message());
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
    }
    const auto path = folder / (silo + ".key");
    const crypto::SigningKeys keys = crypto::make_signing_keys(entropy);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    require(file >= 0 || errno != EEXIST, "{} is there already: a new key would make the roster's entry wrong; move it away first",
            path.string());
    require<RuntimeError>(file >= 0, "cannot write {}: {}", path.string(), reason());
    const auto close = held(file);
    const nlohmann::ordered_json json{{"format", "silosum-key"}, {"version", 1}, {"silo", silo}, {"seed", crypto::hex(keys.seed.view())}};
    std::string text = json.dump(1) + "\n";
    const bool is_written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
    crypto::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    if (!is_written) ::unlink(path.c_str());
    require<RuntimeError>(is_written, "cannot write {}: {}", path.string(), reason());
    try {
        Ledger::make_file(folder / (silo + ".ledger"), keys.public_key);
    } catch (const Error&) {
        ::unlink(path.c_str());
        throw;
    }
    nlohmann::ordered_json entry{{"silo", silo}, {"public_key", crypto::hex(keys.public_key)}, {"valid_until", valid_until}};
    if (!domain.empty()) entry["domain"] = domain;
    return entry.dump();
}

std::vector<RosterEntry> read_roster(const std::filesystem::path& file, const std::string& today) {
    std::ifstream stream(file);
    require<DataError>(stream.good(), "exchange.roster: cannot read {}: {}", file.string(), reason());
    std::error_code ignored;
    require<DataError>(!std::filesystem::is_directory(file, ignored), "exchange.roster: {} is a folder", file.string());
    const auto json = nlohmann::json::parse(stream, nullptr, false);
    const bool is_ours =
        json.is_object() && json.value("format", "") == "silosum-roster" && json.contains("silos") && json["silos"].is_array();
    require<DataError>(is_ours,
                       "exchange.roster: {} is no roster of silosum: it must be {{\"format\": \"silosum-roster\", \"version\": 1, "
                       "\"silos\": [...]}} with the entries that `silosum keygen` prints",
                       file.string());
    require<DataError>(json.value("version", 0) == 1, "exchange.roster: {} is of version {}, this program reads 1", file.string(),
                       json.value("version", 0));
    std::vector<RosterEntry> roster;
    std::set<std::string> names;
    std::set<crypto::Bytes32> keys;
    for (const auto& silo : json["silos"]) {
        RosterEntry entry;
        for (const auto& [field, value] : silo.items()) {
            const bool is_known = field == "silo" || field == "public_key" || field == "valid_until" || field == "domain";
            require<DataError>(is_known && value.is_string(),
                               "exchange.roster: {} has an entry with \"{}\": entries have texts silo, public_key, valid_until and domain",
                               file.string(), field);
        }
        entry.name = silo.value("silo", "");
        entry.domain = silo.value("domain", "");
        const auto key = crypto::from_hex(silo.value("public_key", ""), entry.public_key.size());
        require<DataError>(!entry.name.empty() && key.has_value(),
                           "exchange.roster: {} has an entry without a name, or without a public key of 64 hex digits: {}", file.string(),
                           silo.dump());
        std::copy(key->begin(), key->end(), entry.public_key.begin());
        const std::string valid_until = silo.value("valid_until", "");
        require<DataError>(is_date(valid_until), "exchange.roster: {}: silo \"{}\" has no valid_until as YYYY-MM-DD", file.string(),
                           entry.name);
        require<DataError>(today <= valid_until,
                           "exchange.roster: {}: the key of silo \"{}\" was valid until {}, today is {}; it needs a new one (silosum "
                           "keygen), and all rosters its entry",
                           file.string(), entry.name, valid_until, today);
        require<DataError>(names.insert(entry.name).second, "exchange.roster: {} has silo \"{}\" twice", file.string(), entry.name);
        require<DataError>(keys.insert(entry.public_key).second, "exchange.roster: {}: silo \"{}\" has the public key of another",
                           file.string(), entry.name);
        roster.push_back(std::move(entry));
    }
    return roster;
}

std::string today() {
    return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)));
}

}  // namespace silosum
