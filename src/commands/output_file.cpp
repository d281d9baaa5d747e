#include "commands/output_file.hpp"

#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>
#include <system_error>

#include <fcntl.h>

#include "base/error.hpp"
#include "io/atomic_file.hpp"
#include "io/descriptor.hpp"
#include "io/hdf5.hpp"

namespace silosum {

namespace {

// "silosum-shard" and the like; empty for a file of another kind.
std::string format_of(const std::filesystem::path& file) {
    try {
        const auto opened = hdf5::open_file(file);
        return opened.has_attribute("format") ? opened.string_attribute("format") : "";
    } catch (const Error&) {
        return "";
    }
}

// Predictions, safetensors, reports, benchmark lines and fits begin like this; an empty file is nobody's.
bool is_output(const std::filesystem::path& file) {
    std::array<char, 64> start{};
    std::ifstream stream(file, std::ios::binary);
    stream.read(start.data(), start.size());
    const std::string_view text(start.data(), static_cast<std::size_t>(stream.gcount()));
    return text.empty() || text.starts_with("row,prediction") || text.starts_with("<!DOCTYPE html>\n<!-- silosum-report ") ||
           text.starts_with("{\n \"format\": \"silosum-bench\"") || text.starts_with("{\n \"format\": \"silosum-fit\"") ||
           text.starts_with("exchange,ring_bits,bytes,") || (text.size() > 9 && text.substr(8, 2) == "{\"") ||
           format_of(file) == "silosum-predictions";
}

void check_replaceable(const std::string& flag, const std::filesystem::path& out) {
    std::error_code ignored;
    require(std::filesystem::is_regular_file(out, ignored), "{} {} is no file: it would be replaced by one; choose another", flag,
            out.string());
    const std::string format = format_of(out);
    const std::string what = format == "silosum-shard" ? "a shard" : format == "silosum-model" ? "a model" : "something else";
    require(is_output(out), "{} {} is there and holds {}: choose another, or remove it first", flag, out.string(), what);
}

// The file will be written under another name in the same folder; whether that can be shows only by trying.
void check_writable(const std::string& flag, const std::filesystem::path& out) {
    const AtomicFile trial(out);  // removes what it has made
    const Descriptor descriptor(trial.temporary(), O_WRONLY | O_CREAT | O_EXCL);
    require<RuntimeError>(descriptor.is_open(), "{} {}: cannot be written ({}); choose another", flag, out.string(),
                          std::generic_category().message(errno));
}

}  // namespace

void check_output(const std::string& flag, const std::filesystem::path& out,
                  const std::vector<std::pair<std::string, std::filesystem::path>>& inputs) {
    std::error_code ignored;  // what is not there is not the same
    for (const auto& [of_input, input] : inputs) {
        require(!std::filesystem::equivalent(out, input, ignored), "{} {} is the file that {} names: choose another", flag, out.string(),
                of_input);
    }
    const auto folder = std::filesystem::absolute(out).parent_path();
    require(std::filesystem::is_directory(folder, ignored), "{} {}: there is no folder {}; make it first", flag, out.string(),
            folder.string());
    if (std::filesystem::exists(out, ignored)) check_replaceable(flag, out);
    check_writable(flag, out);
}

}  // namespace silosum
