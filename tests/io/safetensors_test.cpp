// What is written reads back bit for bit; a damaged or hostile file is refused with its reason.
#include "io/safetensors.hpp"

#include <cstdint>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class Safetensors : public testing::Test {
protected:
    void write_bytes(const std::string& bytes) const { write_text(path_, bytes); }
    [[nodiscard]] std::string read_bytes() const { return read_text(path_); }
    /// A file with this header and so many bytes of data.
    void write_header(const std::string& header, std::size_t data_bytes) const {
        std::string length(8, '\0');
        for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
        write_bytes(length + header + std::string(data_bytes, '\0'));
    }
    void expect_refused(const std::string& reason) const {
        EXPECT_THAT([&] { (void)safetensors::read(path_); },
                    ThrowsMessage<DataError>(testing::AllOf(HasSubstr(path_.string()), HasSubstr(reason))));
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "model.safetensors";
};

TEST_F(Safetensors, WrittenTensorsReadBackBitForBit) {
    const std::vector<float> weights = {1.5F, -0.0F, std::numeric_limits<float>::denorm_min(), 3e38F, 0.1F, -7};
    const std::vector<float> bias = {2, 3};
    const std::vector<safetensors::View> views = {
        {"z.weight", {2, 3}, weights}, {"a.bias", {2}, bias}, {"empty", {0, 4}, {}}, {"scalar", {}, std::span(bias).first(1)}};
    safetensors::write(path_, views, {{"layers", "dense 2"}, {"quote", "\"\n\xC3\xA9"}});
    const safetensors::File file = safetensors::read(path_);
    EXPECT_EQ(file.metadata, (safetensors::Metadata{{"layers", "dense 2"}, {"quote", "\"\n\xC3\xA9"}}));
    ASSERT_EQ(file.tensors.size(), views.size());
    for (std::size_t i = 0; i < views.size(); ++i) {
        EXPECT_EQ(file.tensors[i].name, views[i].name);
        EXPECT_EQ(file.tensors[i].shape, views[i].shape);
        ASSERT_EQ(file.tensors[i].values.size(), views[i].values.size());
        if (views[i].values.empty()) continue;
        EXPECT_EQ(std::memcmp(file.tensors[i].values.data(), views[i].values.data(), views[i].values.size_bytes()), 0);
    }
}

TEST_F(Safetensors, BytesAreThoseOfTheFormat) {
    const std::vector<float> one = {1};
    safetensors::write(path_, std::vector<safetensors::View>{{"w", {1}, one}}, {});
    const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
    EXPECT_EQ(read_bytes(),
              std::string{static_cast<char>(padded.size())} + std::string(7, '\0') + padded + std::string("\x00\x00\x80\x3F", 4));
}

TEST_F(Safetensors, OrderInTheHeaderIsFree) {
    write_header(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8);
    const safetensors::File file = safetensors::read(path_);
    ASSERT_EQ(file.tensors.size(), 2U);
    EXPECT_EQ(file.tensors[0].name, "a");
}

TEST_F(Safetensors, AFileCutAnywhereIsRefused) {
    const std::vector<float> values(5, 1.0F);
    safetensors::write(path_, std::vector<safetensors::View>{{"w", {5}, values}}, {{"k", "v"}});
    const std::string whole = read_bytes();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        write_bytes(whole.substr(0, length));
        EXPECT_THROW((void)safetensors::read(path_), DataError) << length;
    }
    write_bytes(whole + "x");
    expect_refused("cut or changed");
}

TEST_F(Safetensors, DamagedHeadersAreRefusedWithTheirReason) {
    std::filesystem::remove(path_);
    expect_refused("No such file");
    write_bytes("short");
    expect_refused("too short");
    write_bytes(std::string(8, '\xFF') + "{}");
    expect_refused("above the limit");
    write_header("[1, 2]", 0);
    expect_refused("not a JSON object");
    write_header("{\"w\":", 0);
    expect_refused("not a JSON object");
    write_header(R"({"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", 4);
    expect_refused("tensor \"w\" has dtype BF16; only F32");
    write_header(R"({"w":{"shape":[1],"data_offsets":[0,4]}})", 4);
    expect_refused("has no dtype");
    write_header(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4);
    expect_refused("its shape needs 8 bytes, its offsets hold 4");
    write_header(R"({"w":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}})", 0);
    expect_refused("more than 2^64");
    write_header(R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4);
    expect_refused("\"shape\" is not a list of whole numbers");
    write_header(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4);
    expect_refused("not a begin and an end");
    write_header(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
    expect_refused("names \"w\" twice");
    write_header(R"({"__metadata__":{"k":1}})", 0);
    expect_refused("\"k\" is not a string");
}

TEST_F(Safetensors, OverlapsAndGapsAreRefused) {
    write_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12);
    expect_refused("overlap");
    write_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})", 12);
    expect_refused("gap");
    write_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8);
    expect_refused("gap");
}

TEST_F(Safetensors, AFailedWriteLeavesTheOldFile) {
    const std::vector<float> one = {1};
    const std::vector<safetensors::View> views = {{"w", {1}, one}};
    EXPECT_THROW(safetensors::write(folder_ / "missing/model.safetensors", views, {}), RuntimeError);
    safetensors::write(path_, views, {});
    const std::string before = read_bytes();
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
    EXPECT_EQ(read_bytes(), before);
}

}  // namespace
}  // namespace silosum
