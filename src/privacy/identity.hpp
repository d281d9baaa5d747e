// Who a silo is to the others: its signing key, kept in a file of its own, and the roster that names the public keys of all silos.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "privacy/crypto.hpp"
#include "privacy/ledger.hpp"
#include "privacy/secure_session.hpp"

namespace silosum {

/// A silo's signing key with its ledger. One job at a time has it.
struct Identity {
    std::string silo;
    crypto::SigningKeys keys;
    Ledger ledger = Ledger::in_memory();

    /// For sums whose privacy need not outlive the process: no roster vouches for it, and what it gave is forgotten.
    [[nodiscard]] static Identity throwaway(const std::string& silo, crypto::Entropy& entropy);
    /// Reads FOLDER/SILO.key and opens FOLDER/SILO.ledger beside it. Refuses a key that others may read, that is another silo's, or that a
    /// job has in hand: UsageError, DataError or RuntimeError with the remedy.
    [[nodiscard]] static Identity in_folder(const std::filesystem::path& folder, const std::string& silo);

    Identity(Identity&&) noexcept = default;
    Identity& operator=(Identity&&) noexcept = default;

    /// The key of the tags of what the silo gives to a sum; never leaves it.
    [[nodiscard]] crypto::Secret<32> tag_key(const crypto::Bytes32& context, const crypto::Bytes32& settings) const;

private:
    Identity() = default;
    std::shared_ptr<void> lock_;
};

/// Makes a new key in FOLDER/SILO.key, readable by its owner only, and returns the silo's entry for the roster as JSON. UsageError where
/// there is a key already.
[[nodiscard]] std::string make_key_file(const std::filesystem::path& folder, const std::string& silo, const std::string& domain,
                                        const std::string& valid_until, crypto::Entropy& entropy);

/// Reads a roster: {"format": "silosum-roster", "version": 1, "silos": [{"silo", "public_key", "valid_until", "domain"}...]}. today:
/// YYYY-MM-DD. DataError for a file that is missing or none, a silo or key that is there twice, or an entry that is no longer valid.
[[nodiscard]] std::vector<RosterEntry> read_roster(const std::filesystem::path& file, const std::string& today);
/// As read_roster wants it, in universal time.
[[nodiscard]] std::string today();

}  // namespace silosum
