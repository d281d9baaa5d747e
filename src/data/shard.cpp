// Writing shards, and the fingerprint of their content.
#include "data/shard.hpp"

#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/sha256.hpp"
#include "data/channels.hpp"
#include "io/atomic_file.hpp"
#include "io/hdf5.hpp"

namespace silosum {

namespace {

hdf5::Shape shape_on_disk(std::size_t rows, const std::vector<std::size_t>& feature_shape) {
    hdf5::Shape shape{rows};
    shape.insert(shape.end(), feature_shape.begin(), feature_shape.end());
    return shape;
}

void write_split(hdf5::File& file, const char* name, const Split& split, const Shard& shard) {
    if (split.rows == 0) return;
    const auto& feature_shape = shard.problem.feature_shape;
    const hdf5::Shape shape = shape_on_disk(split.rows, feature_shape);
    hdf5::Group group = file.create_group(name);
    if (split.is_bytes()) {
        const auto values = channels_first(split.bytes, feature_shape);
        hdf5::Dataset x = group.write<std::uint8_t>("x", shape, values);
        x.set_attribute("scale", static_cast<double>(shard.pixel_scale));
        x.set_attribute("offset", static_cast<double>(shard.pixel_offset));
    } else {
        const auto values = channels_first(split.floats, feature_shape);
        group.write<float>("x", shape, values);
    }
    if (shard.problem.task == Task::regression) {
        group.write<float>("y", {split.rows}, split.targets);
        return;
    }
    const std::vector<std::int64_t> labels(split.labels.begin(), split.labels.end());
    group.write<std::int64_t>("y", {split.rows}, labels);
}

template <class T>
void add_values(Sha256& hash, const std::vector<T>& values) {
    hash.add(std::as_bytes(std::span(values)));
}

}  // namespace

void write_shard(const std::filesystem::path& path, const Shard& shard) {
    AtomicFile target(path);
    {
        hdf5::File file = hdf5::create_file(target.temporary());
        file.set_attribute("format", "silosum-shard");
        file.set_attribute("version", shard_version);
        file.set_attribute("silo", shard.silo);
        file.set_attribute("task", to_string(shard.problem.task));
        file.set_attribute("classes", static_cast<std::int64_t>(shard.problem.classes));
        file.set_attribute("source", shard.source);
        if (!shard.class_names.empty()) file.set_attribute("class_names", shard.class_names);
        if (!shard.feature_names.empty()) file.set_attribute("feature_names", shard.feature_names);
        write_split(file, "train", shard.train, shard);
        write_split(file, "validation", shard.validation, shard);
        write_split(file, "test", shard.test, shard);
        file.close();
    }
    target.commit();
}

std::string fingerprint_of(const Shard& shard) {
    Sha256 hash;
    hash.add(fmt::format("silosum-shard {} {} shape", to_string(shard.problem.task), shard.problem.classes));
    for (const std::size_t size : shard.problem.feature_shape) hash.add(fmt::format(" {}", size));
    hash.add(fmt::format(" pixels {:a} {:a}\n", shard.pixel_scale, shard.pixel_offset));
    for (const auto& [name, split] :
         {std::pair<const char*, const Split*>{"train", &shard.train}, {"validation", &shard.validation}, {"test", &shard.test}}) {
        hash.add(fmt::format("{} {} {}\n", name, split->rows, split->is_bytes() ? "uint8" : "float32"));
        add_values(hash, split->bytes);
        add_values(hash, split->floats);
        add_values(hash, split->labels);
        add_values(hash, split->targets);
    }
    return hash.hex();
}

}  // namespace silosum
