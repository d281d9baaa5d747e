// Thrown by every wait from when this rank knows of a dead one: see comm/watch.hpp.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace silosum {

/// Not an Error: ranks agree on errors, and the dead agree on nothing.
class RankDied : public std::exception {
public:
    explicit RankDied(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

private:
    std::string text_;
};

}  // namespace silosum
