#include "io/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "io/atomic_file.hpp"

namespace silosum::safetensors {

// The values are stored as they lie in memory.
static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace {

using Json = nlohmann::ordered_json;

// The limit of the reference implementation: a larger header is an attack or an accident.
constexpr std::uint64_t header_limit = 100'000'000;

std::array<char, 8> length_bytes(std::uint64_t length) {
    std::array<char, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(length >> (8 * i) & 0xFF);
    return bytes;
}

std::uint64_t length_from(const std::array<char, 8>& bytes) {
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) length |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    return length;
}

std::string header_text(std::span<const View> tensors, const Metadata& metadata) {
    Json header = Json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::size_t offset = 0;
    for (const View& tensor : tensors) {
        const std::size_t end = offset + tensor.values.size_bytes();
        header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
    // Readers map the values in place: spaces keep them aligned.
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
}

/// Parses the header and refuses a name that comes twice, which JSON parsers accept in silence.
Json parse_header(const std::string& text, const std::filesystem::path& path) {
    std::vector<std::set<std::string>> names;
    std::string twice;
    const auto look = [&](int, Json::parse_event_t event, Json& value) {
        if (event == Json::parse_event_t::object_start) names.emplace_back();
        if (event == Json::parse_event_t::object_end) names.pop_back();
        if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second) twice = value.get<std::string>();
        return true;
    };
    Json header = Json::parse(text, look, false);
    require<DataError>(!header.is_discarded() && header.is_object(), "{}: the safetensors header is not a JSON object; the file is damaged",
                       path.string());
    require<DataError>(twice.empty(), "{}: the safetensors header names \"{}\" twice", path.string(), twice);
    return header;
}

Metadata read_metadata(const Json& json, const std::filesystem::path& path) {
    Metadata metadata;
    require<DataError>(json.is_object(), "{}: __metadata__ is not an object of strings", path.string());
    for (const auto& [key, value] : json.items()) {
        require<DataError>(value.is_string(), "{}: __metadata__ \"{}\" is not a string", path.string(), key);
        metadata[key] = value.get<std::string>();
    }
    return metadata;
}

/// A tensor of the header and where its values lie among the data.
struct Place {
    Tensor tensor;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

std::vector<std::uint64_t> whole_numbers(const Json& entry, const std::string& key, const std::string& where) {
    const bool is_list = entry.contains(key) && entry[key].is_array() &&
                         std::all_of(entry[key].begin(), entry[key].end(), [](const Json& number) { return number.is_number_unsigned(); });
    require<DataError>(is_list, "{}: \"{}\" is not a list of whole numbers", where, key);
    return entry[key].get<std::vector<std::uint64_t>>();
}

Place read_place(const std::string& name, const Json& entry, const std::filesystem::path& path) {
    const std::string where = fmt::format("{}: tensor \"{}\"", path.string(), name);
    require<DataError>(entry.is_object() && entry.contains("dtype") && entry["dtype"].is_string(), "{} has no dtype", where);
    const auto dtype = entry["dtype"].get<std::string>();
    require<DataError>(dtype == "F32", "{} has dtype {}; only F32 is read: save the model as float32", where, dtype);
    const auto offsets = whole_numbers(entry, "data_offsets", where);
    require<DataError>(offsets.size() == 2 && offsets[0] <= offsets[1], "{}: \"data_offsets\" is not a begin and an end", where);
    Place place{{name, {}, {}}, offsets[0], offsets[1]};
    std::uint64_t bytes = sizeof(float);
    bool fits = true;
    for (const std::uint64_t length : whole_numbers(entry, "shape", where)) {
        fits = fits && (length == 0 || bytes <= std::numeric_limits<std::uint64_t>::max() / length);
        bytes = fits ? bytes * length : 0;
        place.tensor.shape.push_back(length);
    }
    require<DataError>(fits && bytes == place.end - place.begin, "{}: its shape needs {} bytes, its offsets hold {}", where,
                       fits ? std::to_string(bytes) : "more than 2^64", place.end - place.begin);
    return place;
}

void check_cover(const std::vector<Place>& places, std::uint64_t data_bytes, const std::filesystem::path& path) {
    std::uint64_t expected = 0;
    for (const Place& place : places) {
        require<DataError>(place.begin == expected,
                           "{}: tensor \"{}\" begins at byte {} of the data, {} expected: tensors overlap or leave a gap", path.string(),
                           place.tensor.name, place.begin, expected);
        expected = place.end;
    }
    require<DataError>(expected == data_bytes, "{}: the header describes {} bytes of data, the file holds {}; the file was cut or changed",
                       path.string(), expected, data_bytes);
}

}  // namespace

void write(const std::filesystem::path& path, std::span<const View> tensors, const Metadata& metadata) {
    const std::string header = header_text(tensors, metadata);
    AtomicFile file(path);
    std::ofstream out(file.temporary(), std::ios::binary);
    out.write(length_bytes(header.size()).data(), 8);
    out.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (const View& tensor : tensors) {
        out.write(reinterpret_cast<const char*>(tensor.values.data()), static_cast<std::streamsize>(tensor.values.size_bytes()));
    }
    out.close();
    require<RuntimeError>(out.good(), "cannot write {}: {}", path.string(), std::strerror(errno));
    file.commit();
}

File read(const std::filesystem::path& path) {
    std::error_code failed;
    const std::uint64_t file_bytes = std::filesystem::file_size(path, failed);
    require<DataError>(!failed, "cannot read {}: {}", path.string(), failed.message());
    std::ifstream in(path, std::ios::binary);
    require<DataError>(in.good(), "cannot read {}: {}", path.string(), std::strerror(errno));

    std::array<char, 8> length{};
    require<DataError>(file_bytes >= length.size() && in.read(length.data(), length.size()), "{}: too short for a safetensors file",
                       path.string());
    const std::uint64_t header_bytes = length_from(length);
    require<DataError>(header_bytes <= header_limit, "{}: a header of {} bytes is above the limit of {}; this is not a safetensors file",
                       path.string(), header_bytes, header_limit);
    require<DataError>(header_bytes <= file_bytes - length.size(),
                       "{}: the header should have {} bytes, the file ends after {}; the file was cut", path.string(), header_bytes,
                       file_bytes - length.size());
    std::string text(header_bytes, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    require<DataError>(in.good() && text.starts_with('{'), "{}: the safetensors header is not a JSON object; the file is damaged",
                       path.string());

    File file;
    std::vector<Place> places;
    const Json header = parse_header(text, path);
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") {
            file.metadata = read_metadata(entry, path);
        } else {
            places.push_back(read_place(name, entry, path));
        }
    }
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    check_cover(places, file_bytes - length.size() - header_bytes, path);
    for (Place& place : places) {
        place.tensor.values.resize((place.end - place.begin) / sizeof(float));
        in.read(reinterpret_cast<char*>(place.tensor.values.data()), static_cast<std::streamsize>(place.end - place.begin));
        require<DataError>(in.good(), "{}: tensor \"{}\" cannot be read", path.string(), place.tensor.name);
        file.tensors.push_back(std::move(place.tensor));
    }
    return file;
}

}  // namespace silosum::safetensors
