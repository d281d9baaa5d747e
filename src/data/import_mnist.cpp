#include "data/import_mnist.hpp"

#include <algorithm>
#include <optional>

#include "base/error.hpp"
#include "io/plain_or_gzip.hpp"

namespace silosum {

namespace {

std::uint32_t big_endian(const std::vector<char>& bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
}

struct IdxFile {
    std::vector<std::size_t> shape;
    std::vector<std::uint8_t> values;
};

IdxFile read_idx(const std::filesystem::path& path, std::size_t dimensions) {
    const std::vector<char> bytes = read_plain_or_gzip(path);
    const std::size_t header = 4 + 4 * dimensions;
    require<DataError>(bytes.size() >= header, "{} is cut: it has {} bytes, an IDX header has {}", path.string(), bytes.size(), header);
    const std::uint32_t expected = 0x0800 + static_cast<std::uint32_t>(dimensions);
    const std::uint32_t magic = big_endian(bytes, 0);
    require<DataError>(magic == expected, "{} is not an IDX file of {}: it begins with {:#010x}, expected {:#010x}", path.string(),
                       dimensions == 1 ? "labels" : "images", magic, expected);
    IdxFile file;
    std::size_t size = 1;
    for (std::size_t i = 0; i < dimensions; ++i) {
        file.shape.push_back(big_endian(bytes, 4 + 4 * i));
        const std::size_t extent = file.shape.back();
        require<DataError>(extent == 0 || size <= bytes.size() / extent, "{} is cut: its header announces more values than its {} bytes",
                           path.string(), bytes.size());
        size *= extent;
    }
    require<DataError>(bytes.size() == header + size, "{} is {}: its header announces {} values, it holds {}", path.string(),
                       bytes.size() < header + size ? "cut" : "too long", size, bytes.size() - header);
    file.values.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
    return file;
}

std::optional<std::filesystem::path> find_idx(const std::filesystem::path& folder, const std::string& stem, const std::string& ending) {
    for (const char* separator : {"-", "."}) {
        for (const char* suffix : {"", ".gz"}) {
            const auto path = folder / (stem + separator + ending + suffix);
            if (std::filesystem::exists(path)) return path;
        }
    }
    return std::nullopt;
}

Split read_pair(const std::filesystem::path& images_path, const std::filesystem::path& labels_path, std::vector<std::size_t>& shape) {
    IdxFile images = read_idx(images_path, 3);
    const IdxFile labels = read_idx(labels_path, 1);
    require<DataError>(images.shape[0] == labels.shape[0], "{} holds {} images, {} holds {} labels", images_path.string(), images.shape[0],
                       labels_path.string(), labels.shape[0]);
    shape = {images.shape[1], images.shape[2]};
    return {.rows = images.shape[0],
            .features = shape[0] * shape[1],
            .bytes = std::move(images.values),
            .floats = {},
            .labels = {labels.values.begin(), labels.values.end()},
            .targets = {}};
}

}  // namespace

Source import_mnist(const std::filesystem::path& folder) {
    require<DataError>(std::filesystem::is_directory(folder), "mnist:{}: no such folder", folder.string());
    const auto images = find_idx(folder, "train-images", "idx3-ubyte");
    const auto labels = find_idx(folder, "train-labels", "idx1-ubyte");
    require<DataError>(images.has_value() && labels.has_value(), "{} has no {}-ubyte or {}-ubyte.gz", folder.string(),
                       images ? "train-labels-idx1" : "train-images-idx3", images ? "train-labels-idx1" : "train-images-idx3");
    Source source;
    source.name = folder.filename().empty() ? folder.parent_path().filename().string() : folder.filename().string();
    source.pixel_scale = 1.0F / 255.0F;
    source.rows = read_pair(*images, *labels, source.problem.feature_shape);
    require<DataError>(source.rows.rows > 0 && source.rows.features > 0, "{} holds no images", images->string());

    const auto test_images = find_idx(folder, "t10k-images", "idx3-ubyte");
    const auto test_labels = find_idx(folder, "t10k-labels", "idx1-ubyte");
    require<DataError>(test_images.has_value() == test_labels.has_value(), "{} has {} but no {}", folder.string(),
                       test_images ? "t10k images" : "t10k labels", test_images ? "t10k labels" : "t10k images");
    if (test_images) {
        std::vector<std::size_t> shape;
        source.common_test = read_pair(*test_images, *test_labels, shape);
        require<DataError>(shape == source.problem.feature_shape, "images of {} are {} x {}, of {} {} x {}", images->string(),
                           source.problem.feature_shape[0], source.problem.feature_shape[1], test_images->string(), shape[0], shape[1]);
    }
    std::int32_t largest = 1;  // a task has at least two classes
    for (const Split* split : {&source.rows, &source.common_test}) {
        for (const std::int32_t label : split->labels) largest = std::max(largest, label);
    }
    source.problem.task = Task::classification;
    source.problem.classes = static_cast<std::size_t>(largest) + 1;
    return source;
}

}  // namespace silosum
