#include "io/checksum_line.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/sha256.hpp"

namespace silosum {

namespace {

constexpr std::string_view line_start = "\nsha256 of all bytes before this line: ";
constexpr std::size_t digest_length = 64;

std::size_t line_length() {
    return line_start.size() + digest_length + 1;
}

std::string hash_of_first(std::ifstream& in, std::uintmax_t bytes) {
    Sha256 hash;
    std::vector<char> piece(std::size_t{1} << 20);
    while (bytes > 0 && in.good()) {
        const std::size_t count = static_cast<std::size_t>(std::min<std::uintmax_t>(bytes, piece.size()));
        in.read(piece.data(), static_cast<std::streamsize>(count));
        hash.add(std::as_bytes(std::span(piece).first(count)));
        bytes -= count;
    }
    return hash.hex();
}

}  // namespace

void append_checksum_line(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string line = std::string(line_start) + hash_of_first(in, std::filesystem::file_size(path)) + "\n";
    std::ofstream out(path, std::ios::binary | std::ios::app);
    out << line;
    out.close();
    require<RuntimeError>(in.good() && out.good(), "cannot write {}: {}", path.string(), std::strerror(errno));
}

Checksum verify_checksum_line(const std::filesystem::path& path) {
    std::error_code failed;
    const std::uintmax_t bytes = std::filesystem::file_size(path, failed);
    require<DataError>(!failed, "cannot read {}: {}", path.string(), failed.message());
    if (bytes < line_length()) return Checksum::missing;
    std::ifstream in(path, std::ios::binary);
    const std::string found = hash_of_first(in, bytes - line_length());
    std::string line(line_length(), '\0');
    in.read(line.data(), static_cast<std::streamsize>(line.size()));
    require<DataError>(in.good(), "cannot read {}: {}", path.string(), std::strerror(errno));
    if (!line.starts_with(line_start) || !line.ends_with('\n')) return Checksum::missing;
    return line.substr(line_start.size(), digest_length) == found ? Checksum::right : Checksum::wrong;
}

}  // namespace silosum
