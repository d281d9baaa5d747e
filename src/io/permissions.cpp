#include "io/permissions.hpp"

#include <system_error>

namespace silosum {

bool is_readable_by_all(const std::filesystem::path& file) {
    using std::filesystem::perms;
    std::error_code error;
    const auto allows = [&](const std::filesystem::path& path, perms wanted) {
        const auto status = std::filesystem::status(path, error);
        return !error && (status.permissions() & wanted) != perms::none;
    };
    const auto path = std::filesystem::canonical(file, error);
    if (error || !allows(path, perms::others_read)) return false;
    for (auto folder = path.parent_path(); folder != folder.root_path(); folder = folder.parent_path()) {
        if (!allows(folder, perms::others_exec)) return false;
    }
    return true;
}

}  // namespace silosum
