// Reading shards: everything that a file from elsewhere can have wrong is found here, before training.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <new>
#include <optional>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "data/channels.hpp"
#include "data/shard.hpp"
#include "io/hdf5.hpp"

namespace silosum {

namespace {

void check_format(const hdf5::File& file) {
    const std::string path = file.path().string();
    require<DataError>(file.has_attribute("format"), "{} is an HDF5 file but not a silosum shard: it has no attribute \"format\"", path);
    const std::string format = file.string_attribute("format");
    require<DataError>(format == "silosum-shard", "{} is not a silosum shard: its attribute \"format\" is \"{}\", not \"silosum-shard\"",
                       path, format);
    const std::int64_t version = file.integer_attribute("version");
    require<DataError>(version <= shard_version, "{} has shard version {}, this program reads up to {}: use a newer silosum", path, version,
                       shard_version);
    require<DataError>(version >= 1, "{} has shard version {}; versions start at 1", path, version);
}

Task read_task(const hdf5::File& file) {
    const std::string name = file.string_attribute("task");
    try {
        return task_from_name(name);
    } catch (const DataError& error) {
        throw DataError(fmt::format("{}: {}", file.path().string(), error.what()));
    }
}

constexpr std::int64_t most_classes = std::int64_t{1} << 20;  // each has counts on every rank

std::size_t read_classes(const hdf5::File& file, Task task) {
    const bool given = file.has_attribute("classes");
    const std::int64_t classes = given ? file.integer_attribute("classes") : 0;
    switch (task) {
        case Task::classification:
            require<DataError>(given, "{} has no attribute \"classes\": classification needs the number of classes", file.path().string());
            require<DataError>(classes >= 2 && classes <= most_classes, "{}: classes = {}, classification takes 2 to {}",
                               file.path().string(), classes, most_classes);
            return static_cast<std::size_t>(classes);
        case Task::binary:
            require<DataError>(!given || classes == 2, "{}: classes = {}, a binary task has 2", file.path().string(), classes);
            return 2;
        case Task::regression:
            break;
    }
    return 0;
}

// h5py users number their silos as often as they name them.
std::string read_silo(const hdf5::File& file) {
    if (!file.has_attribute("silo")) return file.path().stem().string();
    try {
        return file.string_attribute("silo");
    } catch (const DataError&) {
        return std::to_string(file.integer_attribute("silo"));
    }
}

// Names travel between ranks and into records as JSON, which is UTF-8.
void check_name(const hdf5::File& file, const std::string& attribute, const std::string& name) {
    require<DataError>(first_not_utf8(name) == std::string::npos, "{}: the attribute \"{}\" holds text that is not UTF-8; write it anew",
                       file.path().string(), attribute);
}

std::vector<std::string> read_names(const hdf5::File& file, const std::string& attribute) {
    if (!file.has_attribute(attribute)) return {};
    auto names = file.string_attributes(attribute);
    for (const auto& name : names) check_name(file, attribute, name);
    return names;
}

// "Test" or "val" would otherwise be passed over, and nothing would be measured.
void check_groups(const hdf5::File& file) {
    for (const std::string& name : file.names()) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        for (const std::string known : {"train", "validation", "test"}) {
            const bool is_meant = name != known && lower.size() >= 3 && (known.starts_with(lower) || lower.starts_with(known));
            require<DataError>(!is_meant || file.has(known), "{} has a group \"{}\": did you mean \"{}\"? Splits have these names",
                               file.path().string(), name, known);
        }
    }
}

class ShardReader {
public:
    ShardReader(const std::filesystem::path& path, std::vector<std::string>& problems) : file_(hdf5::open_file(path)), problems_(problems) {
        check_format(file_);
        check_groups(file_);
        shard_.path = path;
        shard_.silo = read_silo(file_);
        check_name(file_, "silo", shard_.silo);
        shard_.problem.task = read_task(file_);
        shard_.problem.classes = read_classes(file_, shard_.problem.task);
        shard_.source = file_.has_attribute("source") ? file_.string_attribute("source") : "";
        shard_.class_names = read_names(file_, "class_names");
        shard_.feature_names = read_names(file_, "feature_names");
    }

    [[nodiscard]] bool has_train() const { return file_.has("train"); }

    Shard read(bool needs_train) {
        read_split("train", shard_.train);
        read_split("validation", shard_.validation);
        read_split("test", shard_.test);
        if (needs_train) {
            require<DataError>(file_.has("train"),
                               "{} has no group \"train\"; a common test shard is given as eval.common_test, not among the shards of silos",
                               path());
            require<DataError>(shard_.train.rows > 0, "{}: the train set is empty; a silo needs at least one row", path());
        } else {
            require<DataError>(shard_.test.rows > 0, "{} has no test rows; a common test shard needs the group \"test\"", path());
        }
        check_names();
        shard_.fingerprint = fingerprint_of(shard_);
        return std::move(shard_);
    }

private:
    [[nodiscard]] std::string path() const { return file_.path().string(); }

    void read_split(const std::string& name, Split& split) {
        if (!file_.has(name)) return;
        const hdf5::Group group = file_.group(name);
        const hdf5::Dataset x = group.dataset("x");
        const hdf5::Dataset y = group.dataset("y");
        check_shapes(name, x, y);
        split.rows = x.rows();
        split.features = x.row_size();
        if (split.rows == 0) return;
        read_x(name, x, split);
        read_y(name, y, split);
    }

    void check_shapes(const std::string& name, const hdf5::Dataset& x, const hdf5::Dataset& y) {
        const auto& shape = x.shape();
        require<DataError>(shape.size() >= 2 && shape.size() <= 4,
                           "{} has {} dimensions; it must be rows x features, rows x H x W, or rows x C x H x W", x.where(), shape.size());
        require<DataError>(x.row_size() > 0, "{} has rows without features", x.where());
        require<DataError>(y.shape().size() == 1, "{} has {} dimensions; it must have one, a value a row", y.where(), y.shape().size());
        require<DataError>(x.rows() == y.rows(), "{}: {} has {} rows in x and {} in y", path(), name, x.rows(), y.rows());
        const std::vector<std::size_t> features(shape.begin() + 1, shape.end());
        if (first_split_.empty()) {
            first_split_ = name;
            shard_.problem.feature_shape = features;
            return;
        }
        require<DataError>(features == shard_.problem.feature_shape, "{}: rows of {} have the shape {}, rows of {} have {}", path(), name,
                           fmt::join(features, " x "), first_split_, fmt::join(shard_.problem.feature_shape, " x "));
    }

    // Said before the machine's memory is asked for: it would rather stop the program than refuse.
    static void check_memory(const hdf5::Dataset& x) {
        constexpr double gib = 1024.0 * 1024.0 * 1024.0;
        const double needed = static_cast<double>(x.size()) * (x.kind() == hdf5::Kind::integer ? 1.0 : sizeof(float)) / gib;
        const double there = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE)) / gib;
        require<DataError>(needed <= there, "{} needs {:.1f} GiB, this machine has {:.1f} GiB of memory: cut the data into more silos",
                           x.where(), needed, there);
    }

    void read_x(const std::string& name, const hdf5::Dataset& x, Split& split) {
        const bool is_bytes = x.kind() == hdf5::Kind::integer && x.value_bytes() == 1 && !x.is_signed();
        require<DataError>(is_bytes || x.kind() == hdf5::Kind::floating, "{} holds {}; it must be float32, float64 or uint8: convert it",
                           x.where(), x.type_text());
        check_memory(x);
        read_pixel_scale(x, is_bytes);
        if (is_bytes) {
            std::vector<std::uint8_t> values(x.size());
            x.read<std::uint8_t>(values);
            split.bytes = channels_last(std::move(values), shard_.problem.feature_shape);
            return;
        }
        std::vector<float> values(x.size());
        x.read<float>(values);  // float64 is rounded here
        check_finite(name, values, split.features);
        split.floats = channels_last(std::move(values), shard_.problem.feature_shape);
    }

    void read_pixel_scale(const hdf5::Dataset& x, bool is_bytes) {
        float scale = 1.0F;
        float offset = 0.0F;
        if (is_bytes) {
            require<DataError>(
                x.has_attribute("scale") && x.has_attribute("offset"),
                "{} is uint8 and lacks the attributes \"scale\" and \"offset\" (value = byte * scale + offset; 1/255 and 0 are usual)",
                x.where());
            scale = static_cast<float>(x.double_attribute("scale"));
            offset = static_cast<float>(x.double_attribute("offset"));
            require<DataError>(std::isfinite(scale) && std::isfinite(offset) && scale != 0.0F,
                               "{}: scale = {}, offset = {}; both must be finite and the scale not 0", x.where(), scale, offset);
        }
        if (!first_x_.has_value()) {
            first_x_ = is_bytes;
            shard_.pixel_scale = scale;
            shard_.pixel_offset = offset;
            return;
        }
        require<DataError>(*first_x_ == is_bytes && scale == shard_.pixel_scale && offset == shard_.pixel_offset,
                           "{}: the type, scale and offset of x must be those of {}", x.where(), first_split_);
    }

    void check_finite(const std::string& name, const std::vector<float>& values, std::size_t features) {
        std::size_t bad = 0;
        std::size_t first = 0;
        for (std::size_t i = values.size(); i-- > 0;) {
            if (std::isfinite(values[i])) continue;
            first = i;
            ++bad;
        }
        if (bad == 0) return;
        const std::size_t column = first % features;
        const std::string feature = shard_.feature_names.size() == features ? fmt::format(" (\"{}\")", shard_.feature_names[column]) : "";
        problems_.push_back(fmt::format("{}: {} x holds {} in row {}, column {}{}{}; every feature must be a finite number", path(), name,
                                        values[first], first / features, column, feature, others(bad)));
    }

    void read_y(const std::string& name, const hdf5::Dataset& y, Split& split) {
        require<DataError>(y.kind() == hdf5::Kind::integer || y.kind() == hdf5::Kind::floating,
                           "{} holds {}; it must be integers or float32", y.where(), y.type_text());
        // Doubles hold every label that can be valid, and every float; larger integers stay out of range.
        std::vector<double> values(split.rows);
        y.read<double>(values);
        if (shard_.problem.task == Task::regression) {
            read_targets(name, values, split);
        } else {
            read_labels(name, values, split);
        }
    }

    void read_targets(const std::string& name, const std::vector<double>& values, Split& split) {
        split.targets.assign(values.size(), 0.0F);
        std::size_t bad = 0;
        std::size_t first = 0;
        for (std::size_t row = values.size(); row-- > 0;) {
            split.targets[row] = static_cast<float>(values[row]);
            if (std::isfinite(split.targets[row])) continue;
            first = row;
            ++bad;
        }
        if (bad > 0) {
            problems_.push_back(fmt::format("{}: {} y holds {} in row {}{}; every target must be a finite number", path(), name,
                                            values[first], first, others(bad)));
        }
    }

    void read_labels(const std::string& name, const std::vector<double>& values, Split& split) {
        const double classes = static_cast<double>(shard_.problem.classes);
        split.labels.assign(values.size(), 0);
        std::size_t bad = 0;
        std::size_t first = 0;
        for (std::size_t row = values.size(); row-- > 0;) {
            const double value = values[row];
            if (value >= 0.0 && value < classes && value == std::floor(value)) {
                split.labels[row] = static_cast<std::int32_t>(value);
                continue;
            }
            first = row;
            ++bad;
        }
        if (bad > 0) {
            problems_.push_back(
                fmt::format("{}: {} y holds the label {} in row {}{}; labels must be whole numbers from 0 to {} (classes = {})", path(),
                            name, values[first], first, others(bad), shard_.problem.classes - 1, shard_.problem.classes));
        }
    }

    static std::string others(std::size_t bad) { return bad > 1 ? fmt::format(" and {} more", bad - 1) : ""; }

    void check_names() {
        const std::size_t classes = shard_.problem.classes;
        require<DataError>(shard_.class_names.empty() || shard_.class_names.size() == classes,
                           "{}: attribute \"class_names\" has {} names for {} classes", path(), shard_.class_names.size(), classes);
        const std::size_t features = shard_.problem.features();
        require<DataError>(shard_.feature_names.empty() || shard_.feature_names.size() == features,
                           "{}: attribute \"feature_names\" has {} names for {} features", path(), shard_.feature_names.size(), features);
    }

    hdf5::File file_;
    std::vector<std::string>& problems_;
    Shard shard_;
    std::string first_split_;
    std::optional<bool> first_x_;  // whether the first split that has rows holds bytes
};

Shard read_into_memory(ShardReader& reader, const std::filesystem::path& path, bool needs_train) {
    try {
        return reader.read(needs_train);
    } catch (const std::bad_alloc&) {
        throw DataError(
            fmt::format("{} does not fit into memory: split it into more silos, or run fewer ranks on this machine", path.string()));
    }
}

Shard read_checked(const std::filesystem::path& path, bool needs_train) {
    std::vector<std::string> problems;
    ShardReader reader(path, problems);
    Shard shard = read_into_memory(reader, path, needs_train);
    if (!problems.empty()) throw DataError(problems.front());
    return shard;
}

}  // namespace

Shard read_shard(const std::filesystem::path& path) {
    return read_checked(path, true);
}

Shard read_test_shard(const std::filesystem::path& path) {
    return read_checked(path, false);
}

Shard inspect_shard(const std::filesystem::path& path, std::vector<std::string>& problems) {
    ShardReader reader(path, problems);
    return read_into_memory(reader, path, reader.has_train());
}

}  // namespace silosum
