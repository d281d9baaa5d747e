// Bytes of protocol messages: little-endian numbers and fixed fields, one after the other. A reader never reads beyond the end.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>

#include "privacy/crypto.hpp"

namespace silosum {

class MessageWriter {
public:
    template <std::unsigned_integral Number>
    MessageWriter& number(Number value) {
        for (std::size_t i = 0; i < sizeof(Number); ++i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
        return *this;
    }
    MessageWriter& field(crypto::View bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    /// Letters and a zero: a label never begins another.
    MessageWriter& label(std::string_view text) { return field(crypto::view(text)).number(std::uint8_t{0}); }

    [[nodiscard]] const crypto::Bytes& bytes() const { return bytes_; }

private:
    crypto::Bytes bytes_;
};

class MessageReader {
public:
    explicit MessageReader(crypto::View bytes) : left_(bytes) {}

    /// Zero where the message is too short, as all that follows.
    template <std::unsigned_integral Number>
    [[nodiscard]] Number number() {
        Number value = 0;
        std::array<std::uint8_t, sizeof(Number)> bytes = field<sizeof(Number)>();
        for (std::size_t i = 0; i < sizeof(Number); ++i) value = static_cast<Number>(value | static_cast<Number>(bytes[i]) << (8 * i));
        return value;
    }
    template <std::size_t size>
    [[nodiscard]] std::array<std::uint8_t, size> field() {
        std::array<std::uint8_t, size> bytes{};
        const crypto::View view = field(size);
        std::copy(view.begin(), view.end(), bytes.begin());
        return bytes;
    }
    /// Empty where the message is too short.
    [[nodiscard]] crypto::View field(std::size_t size) {
        if (size > left_.size()) {
            is_whole_ = false;
            left_ = {};
            return {};
        }
        const crypto::View view = left_.first(size);
        left_ = left_.subspan(size);
        return view;
    }
    /// Everything asked for was there, and more is left.
    [[nodiscard]] bool has_more() const { return is_whole_ && !left_.empty(); }
    /// Everything asked for was there, and nothing is left.
    [[nodiscard]] bool is_whole() const { return is_whole_ && left_.empty(); }

private:
    crypto::View left_;
    bool is_whole_ = true;
};

}  // namespace silosum
