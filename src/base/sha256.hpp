// SHA-256 (FIPS 180-4) by OpenSSL, which uses the processor's SHA instructions where there are any.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace silosum {

/// Running SHA-256; `hex()` ends it.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void add(std::span<const std::byte> bytes);
    void add(const std::string& text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
    /// The digest as 64 lower-case hex digits. Call once.
    [[nodiscard]] std::string hex();

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

[[nodiscard]] std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace silosum
