// Files, groups and datasets of the HDF5 C API behind checked handles: every call that can fail is checked.
#include "io/hdf5.hpp"

#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "io/hdf5_calls.hpp"

namespace silosum::hdf5 {

namespace {

// Ranks may read one shard from a read-only or network file system, where HDF5's file locks fail; our writers use names of their own.
Handle access_without_locks() {
    Handle access(H5Pcreate(H5P_FILE_ACCESS));
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    H5Pset_file_locking(access.id(), false, true);
#endif
    return access;
}

std::string place(const std::filesystem::path& path, const std::string& name) {
    return path.string() + ":" + name;
}

void check_row_range(const Dataset& dataset, std::size_t first, std::size_t count, std::size_t given) {
    require<DataError>(!dataset.shape().empty() && first <= dataset.rows() && count <= dataset.rows() - first,
                       "rows {} to {} of {} are asked for, it has {}", first, first + count, dataset.where(), dataset.rows());
    require<DataError>(given == count * dataset.row_size(), "{} values are to be moved to or from {} rows of {}, which hold {}", given,
                       count, dataset.where(), count * dataset.row_size());
}

Handle rows_selected(hid_t dataset, const Shape& shape, std::size_t first, std::size_t count) {
    Handle space(H5Dget_space(dataset));
    std::vector<hsize_t> start(shape.size(), 0);
    std::vector<hsize_t> counts(shape.begin(), shape.end());
    start[0] = first;
    counts[0] = count;
    H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, counts.data(), nullptr);
    return space;
}

std::size_t product(const Shape& shape, std::size_t from) {
    std::size_t size = 1;
    for (std::size_t i = from; i < shape.size(); ++i) size *= shape[i];
    return size;
}

}  // namespace

Handle::~Handle() {
    (void)close();
}
Handle::Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
Handle& Handle::operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
}

bool Handle::close() {
    const hid_t id = std::exchange(id_, -1);
    if (id < 0) return true;
    switch (H5Iget_type(id)) {
        case H5I_FILE:
            return H5Fclose(id) >= 0;
        case H5I_GROUP:
            return H5Gclose(id) >= 0;
        case H5I_DATASET:
            return H5Dclose(id) >= 0;
        case H5I_DATASPACE:
            return H5Sclose(id) >= 0;
        case H5I_DATATYPE:
            return H5Tclose(id) >= 0;
        case H5I_ATTR:
            return H5Aclose(id) >= 0;
        default:
            return H5Idec_ref(id) >= 0;  // property lists
    }
}

std::string Object::where() const {
    return place(*path_, name_);
}

Dataset::Dataset(Handle handle, std::shared_ptr<const std::filesystem::path> path, std::string name)
    : Object(std::move(handle), std::move(path), std::move(name)) {
    const Handle type(H5Dget_type(handle_.id()));
    const Handle space(H5Dget_space(handle_.id()));
    require<DataError>(type.is_open() && space.is_open(), "cannot read {}: {}", where(), cause_of_failure());
    std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.id()))));
    if (!sizes.empty()) H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr);
    shape_.assign(sizes.begin(), sizes.end());
    check_size();
    kind_ = kind_of(type.id());
    value_bytes_ = H5Tget_size(type.id());
    is_signed_ = kind_ == Kind::integer && H5Tget_sign(type.id()) == H5T_SGN_2;
}

// A damaged file may claim any shape; the number of values must not wrap around, or a read would pass the end of its buffer.
void Dataset::check_size() const {
    constexpr std::size_t most_values = std::size_t{1} << 48;
    std::size_t values = 1;
    for (const std::size_t extent : shape_) {
        require<DataError>(extent == 0 || values <= most_values / extent,
                           "{} claims {} rows and more values than any memory holds: the file is damaged", where(), rows());
        values *= std::max<std::size_t>(1, extent);
    }
}

std::size_t Dataset::size() const {
    return product(shape_, 0);
}
std::size_t Dataset::row_size() const {
    return product(shape_, 1);
}

std::string Dataset::type_text() const {
    switch (kind_) {
        case Kind::integer:
            return fmt::format("{}int{}", is_signed_ ? "" : "u", value_bytes_ * 8);
        case Kind::floating:
            return fmt::format("float{}", value_bytes_ * 8);
        case Kind::string:
            return "string";
        default:
            return "a compound or other type";
    }
}

void Dataset::check_readable(bool as_floating, std::size_t expected, std::size_t given) const {
    silence_hdf5();
    require<DataError>(kind_ == Kind::integer || (as_floating && kind_ == Kind::floating), "{} holds {}, expected {}", where(), type_text(),
                       as_floating ? "numbers" : "integers");
    require<DataError>(expected == given, "{} holds {} values, expected {}", where(), expected, given);
}

template <class T>
void Dataset::read(std::span<T> values) const {
    check_readable(std::is_floating_point_v<T>, size(), values.size());
    if (values.empty()) return;
    const bool done = H5Dread(handle_.id(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0;
    require<DataError>(done, "cannot read {}: {}", where(), cause_of_failure());
}

template <class T>
void Dataset::read_rows(std::size_t first, std::size_t count, std::span<T> values) const {
    check_row_range(*this, first, count, values.size());
    check_readable(std::is_floating_point_v<T>, values.size(), values.size());
    if (values.empty()) return;
    const Handle selected = rows_selected(handle_.id(), shape_, first, count);
    const Handle memory = simple_space({values.size()});
    const bool done = H5Dread(handle_.id(), native_type<T>(), memory.id(), selected.id(), H5P_DEFAULT, values.data()) >= 0;
    require<DataError>(done, "cannot read {}: {}", where(), cause_of_failure());
}

std::vector<std::string> Dataset::read_strings() const {
    silence_hdf5();
    require<DataError>(kind_ == Kind::string, "{} holds {}, expected strings", where(), type_text());
    const Handle type(H5Dget_type(handle_.id()));
    const Handle space(H5Dget_space(handle_.id()));
    auto values = strings_by(type.id(), space.id(), size(), [&](hid_t t, void* to) {
        return size() == 0 || H5Dread(handle_.id(), t, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) >= 0;
    });
    require<DataError>(values.size() == size(), "cannot read {}: {}", where(), cause_of_failure());
    return values;
}

template <class T>
void Dataset::write(std::span<const T> values) {
    silence_hdf5();
    require<RuntimeError>(values.size() == size(), "{} values are to be written to {}, which holds {}", values.size(), where(), size());
    if (values.empty()) return;
    const bool done = H5Dwrite(handle_.id(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0;
    require<RuntimeError>(done, "cannot write {}: {}", where(), cause_of_failure());
}

template <class T>
void Dataset::write_rows(std::size_t first, std::size_t count, std::span<const T> values) {
    silence_hdf5();
    check_row_range(*this, first, count, values.size());
    if (values.empty()) return;
    const Handle selected = rows_selected(handle_.id(), shape_, first, count);
    const Handle memory = simple_space({values.size()});
    const bool done = H5Dwrite(handle_.id(), native_type<T>(), memory.id(), selected.id(), H5P_DEFAULT, values.data()) >= 0;
    require<RuntimeError>(done, "cannot write {}: {}", where(), cause_of_failure());
}

std::string Group::child_name(const std::string& child) const {
    return (name_ == "/" ? "" : name_) + "/" + child;
}

bool Group::has(const std::string& child) const {
    silence_hdf5();
    return H5Lexists(handle_.id(), child.c_str(), H5P_DEFAULT) > 0 && H5Oexists_by_name(handle_.id(), child.c_str(), H5P_DEFAULT) > 0;
}

bool Group::has_group(const std::string& child) const {
    if (!has(child)) return false;
    return Handle(H5Gopen2(handle_.id(), child.c_str(), H5P_DEFAULT)).is_open();
}

bool Group::has_dataset(const std::string& child) const {
    if (!has(child)) return false;
    return Handle(H5Dopen2(handle_.id(), child.c_str(), H5P_DEFAULT)).is_open();
}

std::vector<std::string> Group::names() const {
    silence_hdf5();
    std::vector<std::string> out;
    const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* to) -> herr_t {
        static_cast<std::vector<std::string>*>(to)->emplace_back(name);
        return 0;
    };
    const bool done = H5Literate(handle_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &out) >= 0;
    require<DataError>(done, "cannot list {}: {}", where(), cause_of_failure());
    return out;
}

Group Group::group(const std::string& child) const {
    require<DataError>(has(child), "{} has no group \"{}\"", where(), child);
    Handle handle(H5Gopen2(handle_.id(), child.c_str(), H5P_DEFAULT));
    require<DataError>(handle.is_open(), "cannot open the group {}: {}", place(*path_, child_name(child)), cause_of_failure());
    return {std::move(handle), path_, child_name(child)};
}

Dataset Group::dataset(const std::string& child) const {
    require<DataError>(has(child), "{} has no dataset \"{}\"", where(), child);
    Handle handle(H5Dopen2(handle_.id(), child.c_str(), H5P_DEFAULT));
    require<DataError>(handle.is_open(), "cannot open the dataset {}: {}", place(*path_, child_name(child)), cause_of_failure());
    // Nothing that HDF5 compresses becomes more than about a thousand times smaller: a file that claims more would only exhaust the memory.
    constexpr std::uint64_t most_compressed = 1100;
    const std::uint64_t stored = H5Dget_storage_size(handle.id());
    Dataset dataset(std::move(handle), path_, child_name(child));
    const std::uint64_t values = dataset.size();
    require<DataError>(values / most_compressed <= stored, "{} claims {} values, but {} bytes are stored: the file is damaged",
                       dataset.where(), values, stored);
    return dataset;
}

Group Group::create_group(const std::string& child) {
    silence_hdf5();
    Handle handle(H5Gcreate2(handle_.id(), child.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    require<RuntimeError>(handle.is_open(), "cannot create the group {}: {}", place(*path_, child_name(child)), cause_of_failure());
    return {std::move(handle), path_, child_name(child)};
}

template <class T>
Dataset Group::create_dataset(const std::string& child, const Shape& shape) {
    silence_hdf5();
    const Handle space = simple_space(shape);
    // No time stamps: equal content must give equal bytes.
    Handle properties(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(properties.id(), false);
    Handle handle(H5Dcreate2(handle_.id(), child.c_str(), file_type<T>(), space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT));
    require<RuntimeError>(handle.is_open(), "cannot create the dataset {}: {}", place(*path_, child_name(child)), cause_of_failure());
    return {std::move(handle), path_, child_name(child)};
}

template <class T>
Dataset Group::write(const std::string& child, const Shape& shape, std::span<const T> values) {
    Dataset dataset = create_dataset<T>(child, shape);
    dataset.write(values);
    return dataset;
}

Dataset Group::write_strings(const std::string& child, const std::vector<std::string>& values) {
    silence_hdf5();
    const Handle type = variable_string_type();
    const Handle space = simple_space({values.size()});
    Handle properties(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(properties.id(), false);
    std::vector<const char*> texts;
    for (const auto& value : values) texts.push_back(value.c_str());
    Handle handle(H5Dcreate2(handle_.id(), child.c_str(), type.id(), space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT));
    const bool done =
        handle.is_open() && (texts.empty() || H5Dwrite(handle.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) >= 0);
    require<RuntimeError>(done, "cannot write {}: {}", place(*path_, child_name(child)), cause_of_failure());
    return {std::move(handle), path_, child_name(child)};
}

void File::close() {
    if (!file_.is_open()) return;
    silence_hdf5();
    // The flush reports a full disk; HDF5 closes with unwritten data in its caches otherwise.
    const bool flushed = H5Fflush(file_.id(), H5F_SCOPE_LOCAL) >= 0;
    const std::string cause = flushed ? "" : cause_of_failure();
    const bool closed = handle_.close() && file_.close();
    require<RuntimeError>(flushed && closed, "cannot write {}: {}", path_->string(), flushed ? cause_of_failure() : cause);
}

File open_file(const std::filesystem::path& path) {
    silence_hdf5();
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    require<DataError>(std::filesystem::exists(status), "cannot read {}: {}", path.string(),
                       error && status.type() != std::filesystem::file_type::not_found ? error.message() : "no such file");
    require<DataError>(!std::filesystem::is_directory(status), "cannot read {}: it is a folder, not an HDF5 file", path.string());
    const Handle access = access_without_locks();
    Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()));
    if (!file.is_open()) {
        const std::string cause = cause_of_failure();
        const bool content = cause.find("truncated") != std::string::npos || cause.find("signature") != std::string::npos ||
                             cause.find("denied") == std::string::npos;
        require<DataError>(!content, "cannot read {}: it is cut or not an HDF5 file ({})", path.string(), cause);
        throw DataError(fmt::format("cannot read {}: {}", path.string(), cause));
    }
    Handle root(H5Gopen2(file.id(), "/", H5P_DEFAULT));
    require<DataError>(root.is_open(), "cannot read {}: it is cut or not an HDF5 file ({})", path.string(), cause_of_failure());
    return {std::move(file), std::move(root), std::make_shared<const std::filesystem::path>(path)};
}

File create_file(const std::filesystem::path& path) {
    silence_hdf5();
    const Handle access = access_without_locks();
    Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()));
    require<RuntimeError>(file.is_open(), "cannot create {}: {}", path.string(), cause_of_failure());
    Handle root(H5Gopen2(file.id(), "/", H5P_DEFAULT));
    require<RuntimeError>(root.is_open(), "cannot create {}: {}", path.string(), cause_of_failure());
    return {std::move(file), std::move(root), std::make_shared<const std::filesystem::path>(path)};
}

#define SILOSUM_HDF5_TYPE(T)                                                            \
    template void Dataset::read<T>(std::span<T>) const;                                 \
    template void Dataset::read_rows<T>(std::size_t, std::size_t, std::span<T>) const;  \
    template void Dataset::write<T>(std::span<const T>);                                \
    template void Dataset::write_rows<T>(std::size_t, std::size_t, std::span<const T>); \
    template Dataset Group::create_dataset<T>(const std::string&, const Shape&);        \
    template Dataset Group::write<T>(const std::string&, const Shape&, std::span<const T>);
SILOSUM_HDF5_TYPE(float)
SILOSUM_HDF5_TYPE(double)
SILOSUM_HDF5_TYPE(std::uint8_t)
SILOSUM_HDF5_TYPE(std::int32_t)
SILOSUM_HDF5_TYPE(std::uint32_t)
SILOSUM_HDF5_TYPE(std::int64_t)
SILOSUM_HDF5_TYPE(std::uint64_t)
#undef SILOSUM_HDF5_TYPE

}  // namespace silosum::hdf5
