// What hdf5.cpp and hdf5_attributes.cpp share: types, spaces, strings and the reason of a failure. For these two files only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <hdf5.h>

#include "io/hdf5.hpp"

namespace silosum::hdf5 {

static_assert(std::is_same_v<hid_t, std::int64_t>, "Handle keeps HDF5 identifiers as 64-bit integers (HDF5 1.10 and later)");

// The reason in HDF5's error stack: the deepest entry is the one that saw the failure; the file driver's holds the system's own text.
inline std::string cause_of_failure() {
    std::string deepest;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_DOWNWARD,
        [](unsigned, const H5E_error2_t* error, void* text) -> herr_t {
            if (error->desc != nullptr && *error->desc != '\0') *static_cast<std::string*>(text) = error->desc;
            return 0;
        },
        &deepest);
    H5Eclear2(H5E_DEFAULT);
    const std::string mark = "error message = '";
    const auto start = deepest.find(mark);
    if (start == std::string::npos) return deepest.empty() ? "unknown HDF5 error" : deepest;
    const auto from = start + mark.size();
    return deepest.substr(from, deepest.find('\'', from) - from);
}

// Comes before every other call. HDF5's own clean-up at exit is off: after a file could not be closed because the disk is full, it closes
// that file's objects once more and crashes (1.10.8). Handles close all there is to close.
inline void silence_hdf5() {
    static const herr_t without_exit_handler = H5dont_atexit();
    (void)without_exit_handler;
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

template <class T>
hid_t native_type() {
    if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
    if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
    if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
    if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
    if constexpr (std::is_same_v<T, std::uint32_t>) return H5T_NATIVE_UINT32;
    if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
    if constexpr (std::is_same_v<T, std::uint64_t>) return H5T_NATIVE_UINT64;
}

// Little-endian on disk on every machine, so that equal content gives equal bytes.
template <class T>
hid_t file_type() {
    if constexpr (std::is_same_v<T, float>) return H5T_IEEE_F32LE;
    if constexpr (std::is_same_v<T, double>) return H5T_IEEE_F64LE;
    if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_STD_U8LE;
    if constexpr (std::is_same_v<T, std::int32_t>) return H5T_STD_I32LE;
    if constexpr (std::is_same_v<T, std::uint32_t>) return H5T_STD_U32LE;
    if constexpr (std::is_same_v<T, std::int64_t>) return H5T_STD_I64LE;
    if constexpr (std::is_same_v<T, std::uint64_t>) return H5T_STD_U64LE;
}

inline Kind kind_of(hid_t type) {
    switch (H5Tget_class(type)) {
        case H5T_INTEGER:
            return Kind::integer;
        case H5T_FLOAT:
            return Kind::floating;
        case H5T_STRING:
            return Kind::string;
        default:
            return Kind::other;
    }
}

inline Handle variable_string_type() {
    Handle type(H5Tcopy(H5T_C_S1));
    H5Tset_size(type.id(), H5T_VARIABLE);
    H5Tset_cset(type.id(), H5T_CSET_UTF8);
    return type;
}

inline Handle simple_space(const Shape& shape) {
    const std::vector<hsize_t> sizes(shape.begin(), shape.end());
    return Handle(shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr));
}

// `read(type, buffer)` reads all elements into the buffer with the file's own string type; works for attributes and datasets.
template <class Read>
std::vector<std::string> strings_by(hid_t type, hid_t space, std::size_t count, Read read) {
    std::vector<std::string> out;
    if (H5Tis_variable_str(type) > 0) {
        std::vector<char*> raw(count, nullptr);
        if (!read(type, raw.data())) return out;
        for (const char* text : raw) out.emplace_back(text == nullptr ? "" : text);
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw.data());
        return out;
    }
    const std::size_t width = H5Tget_size(type);
    std::vector<char> raw(count * width + 1, '\0');
    if (!read(type, raw.data())) return out;
    const bool padded_with_spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    for (std::size_t i = 0; i < count; ++i) {
        std::string text(raw.data() + i * width, width);
        text.resize(std::min(text.find('\0'), text.size()));
        if (padded_with_spaces) text.resize(text.find_last_not_of(' ') + 1);
        out.push_back(std::move(text));
    }
    return out;
}

}  // namespace silosum::hdf5
