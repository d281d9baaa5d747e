// Checked, move-only handles over the HDF5 C API, serial. Nobody else in the program calls HDF5.
// Failures while reading are DataErrors, failures while writing RuntimeErrors; both name file, object and cause.
// HDF5's own error printing is off. One thread at a time may use this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silosum::hdf5 {

using Shape = std::vector<std::size_t>;

/// What the values of a dataset are; their width is apart.
enum class Kind { integer, floating, string, other };

/// Owns one HDF5 identifier (hid_t) of any kind.
class Handle {
public:
    Handle() = default;
    explicit Handle(std::int64_t id) : id_(id) {}
    ~Handle();
    Handle(Handle&& other) noexcept;
    Handle& operator=(Handle&& other) noexcept;

    [[nodiscard]] std::int64_t id() const { return id_; }
    [[nodiscard]] bool is_open() const { return id_ >= 0; }
    /// Closes now; false when HDF5 reports a failure, such as data that could not be flushed.
    [[nodiscard]] bool close();

private:
    std::int64_t id_ = -1;
};

/// What groups and datasets share: a name for messages, and attributes. A missing attribute or one of another type is a DataError.
/// Integers of any width and sign, fixed and variable-length strings, scalars and arrays of one element all read: h5py writes each of them.
class Object {
public:
    [[nodiscard]] const std::filesystem::path& path() const { return *path_; }
    /// Name inside the file: "/train/x".
    [[nodiscard]] const std::string& name() const { return name_; }
    /// "FILE:/train/x", for messages.
    [[nodiscard]] std::string where() const;

    [[nodiscard]] bool has_attribute(const std::string& attribute) const;
    [[nodiscard]] std::string string_attribute(const std::string& attribute) const;
    [[nodiscard]] std::int64_t integer_attribute(const std::string& attribute) const;
    /// Reads integers as well.
    [[nodiscard]] double double_attribute(const std::string& attribute) const;
    [[nodiscard]] std::vector<std::string> string_attributes(const std::string& attribute) const;
    [[nodiscard]] std::vector<std::int64_t> integer_attributes(const std::string& attribute) const;
    [[nodiscard]] std::vector<double> double_attributes(const std::string& attribute) const;

    /// Each replaces an attribute of that name. Strings are written as UTF-8, integers as 64 bits, vectors as one dimension.
    void set_attribute(const std::string& attribute, const std::string& value);
    void set_attribute(const std::string& attribute, const char* value) { set_attribute(attribute, std::string(value)); }
    void set_attribute(const std::string& attribute, std::int64_t value);
    void set_attribute(const std::string& attribute, double value);
    void set_attribute(const std::string& attribute, const std::vector<std::string>& values);
    void set_attribute(const std::string& attribute, const std::vector<std::int64_t>& values);
    void set_attribute(const std::string& attribute, const std::vector<double>& values);

protected:
    Object(Handle handle, std::shared_ptr<const std::filesystem::path> path, std::string name)
        : handle_(std::move(handle)), path_(std::move(path)), name_(std::move(name)) {}

    Handle handle_;
    std::shared_ptr<const std::filesystem::path> path_;
    std::string name_;
};

/// An open dataset. T is one of float, double, uint8_t, int32_t, uint32_t, int64_t, uint64_t.
class Dataset : public Object {
public:
    [[nodiscard]] const Shape& shape() const { return shape_; }
    [[nodiscard]] std::size_t size() const;  // number of values; 1 for a scalar
    [[nodiscard]] std::size_t rows() const { return shape_.empty() ? 1 : shape_[0]; }
    [[nodiscard]] std::size_t row_size() const;
    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] std::size_t value_bytes() const { return value_bytes_; }
    [[nodiscard]] bool is_signed() const { return is_signed_; }
    /// "float32", "uint8", "string"...
    [[nodiscard]] std::string type_text() const;

    /// All values, row-major; `values` has size() elements. Widths are converted by HDF5; integers read as floating point,
    /// not the other way round. Values outside the range of T are clipped by HDF5: check the width where that matters.
    template <class T>
    void read(std::span<T> values) const;
    /// Rows first .. first+count-1 (hyperslab of the first dimension).
    template <class T>
    void read_rows(std::size_t first, std::size_t count, std::span<T> values) const;
    [[nodiscard]] std::vector<std::string> read_strings() const;

    template <class T>
    void write(std::span<const T> values);
    template <class T>
    void write_rows(std::size_t first, std::size_t count, std::span<const T> values);

private:
    friend class Group;
    Dataset(Handle handle, std::shared_ptr<const std::filesystem::path> path, std::string name);
    void check_size() const;
    void check_readable(bool as_floating, std::size_t expected, std::size_t given) const;

    Shape shape_;
    Kind kind_ = Kind::other;
    std::size_t value_bytes_ = 0;
    bool is_signed_ = false;
};

class Group : public Object {
public:
    /// Whether a group or dataset of that name is here.
    [[nodiscard]] bool has(const std::string& child) const;
    [[nodiscard]] bool has_group(const std::string& child) const;
    [[nodiscard]] bool has_dataset(const std::string& child) const;
    /// Names of the children in alphabetical order.
    [[nodiscard]] std::vector<std::string> names() const;

    [[nodiscard]] Group group(const std::string& child) const;
    [[nodiscard]] Dataset dataset(const std::string& child) const;

    Group create_group(const std::string& child);
    /// Contiguous, no compression; a shape without dimensions makes a scalar.
    template <class T>
    Dataset create_dataset(const std::string& child, const Shape& shape);
    /// create_dataset and write in one.
    template <class T>
    Dataset write(const std::string& child, const Shape& shape, std::span<const T> values);
    Dataset write_strings(const std::string& child, const std::vector<std::string>& values);

protected:
    using Object::Object;

private:
    [[nodiscard]] std::string child_name(const std::string& child) const;
};

/// An open file and its root group. Groups and datasets may outlive it; the file closes with the last of them.
class File : public Group {
public:
    File(Handle file, Handle root, std::shared_ptr<const std::filesystem::path> path)
        : Group(std::move(root), std::move(path), "/"), file_(std::move(file)) {}

    /// Flushes and closes a written file with a check, which the destructor cannot do. Close its groups and datasets before.
    void close();

private:
    Handle file_;
};

/// Opens for reading. DataError when the file is missing, not readable, cut, or not HDF5.
[[nodiscard]] File open_file(const std::filesystem::path& path);
/// Creates or empties the file. To replace a good file, write to AtomicFile::temporary() instead.
[[nodiscard]] File create_file(const std::filesystem::path& path);

}  // namespace silosum::hdf5
