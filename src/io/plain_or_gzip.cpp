#include "io/plain_or_gzip.hpp"

#include <cerrno>
#include <memory>
#include <system_error>

#include <zlib.h>

#include "base/error.hpp"

namespace silosum {

namespace {

struct CloseGzip {
    void operator()(gzFile file) const { gzclose_r(file); }
};

}  // namespace

std::vector<char> read_plain_or_gzip(const std::filesystem::path& path) {
    require<DataError>(!std::filesystem::is_directory(path), "cannot read {}: it is a folder", path.string());
    errno = 0;
    // zlib reads files that do not begin with gzip's mark as they are.
    const std::unique_ptr<gzFile_s, CloseGzip> file(gzopen(path.c_str(), "rb"));
    require<DataError>(file != nullptr, "cannot read {}: {}", path.string(), std::generic_category().message(errno != 0 ? errno : ENOMEM));
    gzbuffer(file.get(), 1U << 18);
    std::vector<char> bytes;
    std::size_t used = 0;
    while (true) {
        constexpr std::size_t piece = std::size_t{1} << 22;
        bytes.resize(used + piece);
        const int got = gzread(file.get(), bytes.data() + used, piece);
        int error = Z_OK;
        const char* text = gzerror(file.get(), &error);
        require<DataError>(got >= 0 && (error == Z_OK || error == Z_STREAM_END), "cannot read {}: {}", path.string(),
                           error == Z_BUF_ERROR ? "the gzip file is cut" : text);
        used += static_cast<std::size_t>(got);
        if (got == 0) break;
    }
    bytes.resize(used);
    return bytes;
}

}  // namespace silosum
