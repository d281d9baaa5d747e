// Attributes of HDF5 groups and datasets.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "io/hdf5_calls.hpp"

namespace silosum::hdf5 {

namespace {

struct OpenAttribute {
    Handle attribute, type, space;
    std::size_t count = 0;
    std::string where;

    OpenAttribute(const Object& object, hid_t id, const std::string& name) : where(object.where()) {
        silence_hdf5();
        require<DataError>(object.has_attribute(name), "{} has no attribute \"{}\"", where, name);
        where += " attribute \"" + name + "\"";
        attribute = Handle(H5Aopen(id, name.c_str(), H5P_DEFAULT));
        if (attribute.is_open()) {
            type = Handle(H5Aget_type(attribute.id()));
            space = Handle(H5Aget_space(attribute.id()));
        }
        require<DataError>(type.is_open() && space.is_open(), "cannot read {}: {}", where, cause_of_failure());
        count = static_cast<std::size_t>(std::max<hssize_t>(0, H5Sget_simple_extent_npoints(space.id())));
    }

    [[nodiscard]] std::vector<std::string> strings() const {
        require<DataError>(kind_of(type.id()) == Kind::string, "{} must be a string", where);
        auto values = strings_by(type.id(), space.id(), count, [&](hid_t t, void* to) { return H5Aread(attribute.id(), t, to) >= 0; });
        require<DataError>(values.size() == count, "cannot read {}: {}", where, cause_of_failure());
        return values;
    }

    template <class T>
    [[nodiscard]] std::vector<T> numbers() const {
        const Kind kind = kind_of(type.id());
        constexpr bool floating = std::is_floating_point_v<T>;
        require<DataError>(kind == Kind::integer || (floating && kind == Kind::floating), "{} must be {}", where,
                           floating ? "a number" : "an integer");
        std::vector<T> values(count);
        if (count == 0) return values;
        require<DataError>(H5Aread(attribute.id(), native_type<T>(), values.data()) >= 0, "cannot read {}: {}", where, cause_of_failure());
        return values;
    }

    template <class Values>
    [[nodiscard]] auto single(Values values) const {
        require<DataError>(values.size() == 1, "{} must hold one value, it holds {}", where, values.size());
        return values.front();
    }
};

void write_attribute(const Object& object, hid_t id, const std::string& name, hid_t disk_type, hid_t memory_type, hid_t space,
                     const void* values) {
    silence_hdf5();
    if (H5Aexists(id, name.c_str()) > 0) H5Adelete(id, name.c_str());
    Handle attribute(H5Acreate2(id, name.c_str(), disk_type, space, H5P_DEFAULT, H5P_DEFAULT));
    const bool done = attribute.is_open() && (values == nullptr || H5Awrite(attribute.id(), memory_type, values) >= 0);
    require<RuntimeError>(done, "cannot write {} attribute \"{}\": {}", object.where(), name, cause_of_failure());
}

template <class T>
void write_numbers(const Object& object, hid_t id, const std::string& name, const Shape& shape, const T* values) {
    const Handle space = simple_space(shape);
    write_attribute(object, id, name, file_type<T>(), native_type<T>(), space.id(), values);
}

}  // namespace

bool Object::has_attribute(const std::string& attribute) const {
    silence_hdf5();
    return H5Aexists(handle_.id(), attribute.c_str()) > 0;
}

std::string Object::string_attribute(const std::string& attribute) const {
    const OpenAttribute open(*this, handle_.id(), attribute);
    return open.single(open.strings());
}
std::int64_t Object::integer_attribute(const std::string& attribute) const {
    const OpenAttribute open(*this, handle_.id(), attribute);
    return open.single(open.numbers<std::int64_t>());
}
double Object::double_attribute(const std::string& attribute) const {
    const OpenAttribute open(*this, handle_.id(), attribute);
    return open.single(open.numbers<double>());
}
std::vector<std::string> Object::string_attributes(const std::string& attribute) const {
    return OpenAttribute(*this, handle_.id(), attribute).strings();
}
std::vector<std::int64_t> Object::integer_attributes(const std::string& attribute) const {
    return OpenAttribute(*this, handle_.id(), attribute).numbers<std::int64_t>();
}
std::vector<double> Object::double_attributes(const std::string& attribute) const {
    return OpenAttribute(*this, handle_.id(), attribute).numbers<double>();
}

void Object::set_attribute(const std::string& attribute, const std::string& value) {
    const Handle type = variable_string_type();
    const Handle space = simple_space({});
    const char* text = value.c_str();
    write_attribute(*this, handle_.id(), attribute, type.id(), type.id(), space.id(), &text);
}
void Object::set_attribute(const std::string& attribute, std::int64_t value) {
    write_numbers(*this, handle_.id(), attribute, {}, &value);
}
void Object::set_attribute(const std::string& attribute, double value) {
    write_numbers(*this, handle_.id(), attribute, {}, &value);
}
void Object::set_attribute(const std::string& attribute, const std::vector<std::string>& values) {
    const Handle type = variable_string_type();
    const Handle space = simple_space({values.size()});
    std::vector<const char*> texts;
    for (const auto& value : values) texts.push_back(value.c_str());
    write_attribute(*this, handle_.id(), attribute, type.id(), type.id(), space.id(), texts.empty() ? nullptr : texts.data());
}
void Object::set_attribute(const std::string& attribute, const std::vector<std::int64_t>& values) {
    write_numbers(*this, handle_.id(), attribute, {values.size()}, values.empty() ? nullptr : values.data());
}
void Object::set_attribute(const std::string& attribute, const std::vector<double>& values) {
    write_numbers(*this, handle_.id(), attribute, {values.size()}, values.empty() ? nullptr : values.data());
}

}  // namespace silosum::hdf5
