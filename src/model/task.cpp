#include "model/task.hpp"

#include <array>

#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

const std::array<std::string, 3> task_names{"classification", "binary", "regression"};

}  // namespace

std::string to_string(Task task) {
    return task_names.at(static_cast<std::size_t>(task));
}

Task task_from_name(const std::string& name) {
    for (std::size_t i = 0; i < task_names.size(); ++i) {
        if (task_names[i] == name) return static_cast<Task>(i);
    }
    throw DataError(unknown_name("task", name, task_names));
}

std::size_t Problem::features() const {
    std::size_t product = 1;
    for (const std::size_t extent : feature_shape) product *= extent;
    return product;
}

std::string to_string(const Problem& problem) {
    const std::string into = problem.task == Task::classification ? fmt::format(" into {} classes", problem.classes) : "";
    return fmt::format("{}{} of {} features", to_string(problem.task), into, fmt::join(problem.feature_shape, "x"));
}

}  // namespace silosum
