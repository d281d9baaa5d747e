#include "data/shard.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "io/hdf5.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Split small_split(std::size_t rows, std::size_t features, std::int32_t classes) {
    Split split;
    split.rows = rows;
    split.features = features;
    for (std::size_t i = 0; i < rows * features; ++i) split.floats.push_back(static_cast<float>(i) / 7.0F - 1.0F);
    for (std::size_t i = 0; i < rows; ++i) split.labels.push_back(static_cast<std::int32_t>(i) % classes);
    return split;
}

Shard small_shard() {
    Shard shard;
    shard.silo = "north";
    shard.problem = {.task = Task::classification, .classes = 3, .feature_shape = {4}};
    shard.source = "made up";
    shard.train = small_split(7, 4, 3);
    shard.test = small_split(2, 4, 3);
    shard.class_names = {"a", "b", "c"};
    shard.feature_names = {"w", "x", "y", "z"};
    return shard;
}

Shard image_shard(std::vector<std::size_t> shape) {
    Shard shard = small_shard();
    shard.problem.feature_shape = std::move(shape);
    shard.feature_names.clear();
    shard.pixel_scale = 1.0F / 255.0F;
    for (Split* split : {&shard.train, &shard.test}) {
        split->features = shard.problem.features();
        split->floats.clear();
        split->bytes.resize(split->rows * split->features);
        std::iota(split->bytes.begin(), split->bytes.end(), std::uint8_t{0});
    }
    return shard;
}

void expect_equal(const Split& a, const Split& b) {
    EXPECT_EQ(a.rows, b.rows);
    if (a.rows == 0) return;
    EXPECT_EQ(a.features, b.features);
    EXPECT_EQ(a.bytes, b.bytes);
    EXPECT_EQ(a.floats, b.floats);
    EXPECT_EQ(a.labels, b.labels);
    EXPECT_EQ(a.targets, b.targets);
}

void expect_reads_back(const Shard& shard) {
    const TemporaryFolder folder;
    write_shard(folder / "a.h5", shard);
    const Shard back = read_shard(folder / "a.h5");
    EXPECT_EQ(back.silo, shard.silo);
    EXPECT_EQ(back.problem, shard.problem);
    EXPECT_EQ(back.source, shard.source);
    EXPECT_EQ(back.path, folder / "a.h5");
    EXPECT_EQ(back.pixel_scale, shard.pixel_scale);
    EXPECT_EQ(back.pixel_offset, shard.pixel_offset);
    EXPECT_EQ(back.class_names, shard.class_names);
    EXPECT_EQ(back.feature_names, shard.feature_names);
    EXPECT_EQ(back.fingerprint, fingerprint_of(shard));
    expect_equal(back.train, shard.train);
    expect_equal(back.validation, shard.validation);
    expect_equal(back.test, shard.test);
}

TEST(Shard, ReadsBackAsWritten) {
    expect_reads_back(small_shard());
    expect_reads_back(image_shard({3, 5}));
    expect_reads_back(image_shard({3, 2, 5}));
    Shard regression = small_shard();
    regression.problem.task = Task::regression;
    regression.problem.classes = 0;
    regression.class_names.clear();
    for (Split* split : {&regression.train, &regression.test}) {
        split->targets.assign(split->labels.begin(), split->labels.end());
        split->labels.clear();
    }
    expect_reads_back(regression);
}

TEST(Shard, EqualShardsGiveEqualBytes) {
    const TemporaryFolder folder;
    write_shard(folder / "a.h5", image_shard({3, 5}));
    write_shard(folder / "b.h5", image_shard({3, 5}));
    EXPECT_EQ(read_text(folder / "a.h5"), read_text(folder / "b.h5"));
}

// (C, H, W) on disk, (H, W, C) in memory.
TEST(Shard, ImagesWithChannelsAreChannelsFirstOnDisk) {
    const TemporaryFolder folder;
    const Shard shard = image_shard({3, 2, 5});
    write_shard(folder / "a.h5", shard);
    const auto dataset = hdf5::open_file(folder / "a.h5").group("train").dataset("x");
    EXPECT_THAT(dataset.shape(), ElementsAre(7, 3, 2, 5));
    std::vector<std::uint8_t> disk(dataset.size());
    dataset.read<std::uint8_t>(disk);
    for (std::size_t n = 0; n < 7; ++n) {
        for (std::size_t c = 0; c < 3; ++c) {
            for (std::size_t at = 0; at < 10; ++at) EXPECT_EQ(disk[n * 30 + c * 10 + at], shard.train.bytes[n * 30 + at * 3 + c]);
        }
    }
}

TEST(Shard, TheFingerprintChangesWithContentAndNotWithNames) {
    const std::string base = fingerprint_of(small_shard());
    const auto changed = [](const std::function<void(Shard&)>& change) {
        Shard shard = small_shard();
        change(shard);
        return fingerprint_of(shard);
    };
    EXPECT_NE(changed([](Shard& s) { s.train.floats[3] += 1.0F; }), base);
    EXPECT_NE(changed([](Shard& s) { s.test.labels[0] = 2; }), base);
    EXPECT_NE(changed([](Shard& s) { std::swap(s.validation, s.test); }), base);
    EXPECT_NE(changed([](Shard& s) { s.pixel_scale = 2.0F; }), base);
    EXPECT_NE(changed([](Shard& s) { s.problem.classes = 4; }), base);
    EXPECT_NE(changed([](Shard& s) { s.problem.feature_shape = {2, 2}; }), base);
    EXPECT_EQ(changed([](Shard& s) { s.silo = "south"; }), base);
    EXPECT_EQ(changed([](Shard& s) { s.source = "elsewhere"; }), base);
}

/// Writes the small shard, changes the file with raw writes, and returns what read_shard says.
class BadShard : public ::testing::Test {
protected:
    std::string message_without(const std::function<void(hdf5::File&)>& write) {
        {
            hdf5::File file = hdf5::create_file(path_);
            file.set_attribute("format", "silosum-shard");
            file.set_attribute("version", std::int64_t{1});
            file.set_attribute("silo", "north");
            file.set_attribute("task", "classification");
            file.set_attribute("classes", std::int64_t{3});
            write(file);
        }
        return message_of<DataError>([&] { (void)read_shard(path_); });
    }
    static void add_split(hdf5::File& file, const char* name, const std::vector<float>& x, std::size_t features,
                          const std::vector<std::int64_t>& y) {
        auto group = file.create_group(name);
        group.write<float>("x", {x.size() / features, features}, x);
        group.write<std::int64_t>("y", {y.size()}, y);
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "bad.h5";
};

TEST_F(BadShard, OtherFormatsAndVersions) {
    EXPECT_THAT(message_without([](hdf5::File& file) { file.set_attribute("format", "other"); }),
                HasSubstr("bad.h5 is not a silosum shard: its attribute \"format\" is \"other\""));
    EXPECT_THAT(message_without([](hdf5::File& file) { file.set_attribute("version", std::int64_t{2}); }),
                HasSubstr("has shard version 2, this program reads up to 1: use a newer silosum"));
    EXPECT_THAT(message_without([](hdf5::File& file) { file.set_attribute("version", std::int64_t{0}); }), HasSubstr("version 0"));
    { const auto file = hdf5::create_file(path_); }
    EXPECT_THAT(message_of<DataError>([&] { (void)read_shard(path_); }), HasSubstr("not a silosum shard: it has no attribute \"format\""));
}

TEST_F(BadShard, TasksAndClasses) {
    EXPECT_THAT(message_without([](hdf5::File& file) { file.set_attribute("task", "clasification"); }),
                AllOf(HasSubstr("bad.h5"), HasSubstr("did you mean \"classification\"?")));
    EXPECT_THAT(message_without([](hdf5::File& file) { file.set_attribute("classes", std::int64_t{1}); }), HasSubstr("classes = 1"));
    EXPECT_THAT(message_without([](hdf5::File& file) { file.set_attribute("task", "binary"); }),
                HasSubstr("classes = 3, a binary task has 2"));
}

TEST_F(BadShard, LabelsOutsideTheRange) {
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    add_split(file, "train", {1, 2, 3, 4}, 1, {0, 3, 2, -1});
                }),
                HasSubstr("train y holds the label 3 in row 1 and 1 more; labels must be whole numbers from 0 to 2 (classes = 3)"));
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    auto group = file.create_group("train");
                    group.write<float>("x", {2, 1}, std::vector<float>{1, 2});
                    group.write<float>("y", {2}, std::vector<float>{1, 0.5F});
                }),
                HasSubstr("label 0.5 in row 1"));
}

TEST_F(BadShard, ValuesThatAreNotFinite) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    add_split(file, "train", {1, 2, 3, nan, 5, 6}, 2, {0, 1, 2});
                }),
                HasSubstr("train x holds nan in row 1, column 1; every feature must be a finite number"));
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    add_split(file, "train", {1, 2}, 2, {0});
                    add_split(file, "test", {INFINITY, 2}, 2, {0});
                    file.set_attribute("feature_names", std::vector<std::string>{"age", "sex"});
                }),
                HasSubstr("test x holds inf in row 0, column 0 (\"age\")"));
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    file.set_attribute("task", "regression");
                    auto group = file.create_group("train");
                    group.write<float>("x", {2, 1}, std::vector<float>{1, 2});
                    group.write<float>("y", {2}, std::vector<float>{1, nan});
                }),
                HasSubstr("train y holds nan in row 1"));
    // Finite as float64 but not as the float32 it becomes.
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    auto group = file.create_group("train");
                    group.write<double>("x", {1, 1}, std::vector<double>{1e300});
                    group.write<std::int64_t>("y", {1}, std::vector<std::int64_t>{0});
                }),
                HasSubstr("train x holds inf in row 0"));
}

TEST_F(BadShard, ShapesThatDisagree) {
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    add_split(file, "train", {1, 2, 3, 4}, 2, {0, 1, 2});
                }),
                HasSubstr("train has 2 rows in x and 3 in y"));
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    add_split(file, "train", {1, 2, 3, 4}, 2, {0, 1});
                    add_split(file, "test", {1, 2, 3}, 3, {0});
                }),
                HasSubstr("rows of test have the shape 3, rows of train have 2"));
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    auto group = file.create_group("train");
                    group.write<float>("x", {2}, std::vector<float>{1, 2});
                    group.write<std::int64_t>("y", {2}, std::vector<std::int64_t>{0, 1});
                }),
                HasSubstr("/train/x has 1 dimensions"));
}

TEST_F(BadShard, GroupsThatAreAlmostSplits) {
    for (const auto& [name, meant] : {std::pair<const char*, const char*>{"val", "validation"}, {"Test", "test"}, {"training", "train"}}) {
        EXPECT_THAT(message_without([name = name](hdf5::File& file) { file.create_group(name); }),
                    HasSubstr(fmt::format("has a group \"{}\": did you mean \"{}\"?", name, meant)));
    }
}

TEST_F(BadShard, NothingToTrainOn) {
    EXPECT_THAT(message_without([](hdf5::File&) {}), HasSubstr("bad.h5 has no group \"train\""));
    EXPECT_THAT(message_without([](hdf5::File& file) { add_split(file, "train", {}, 2, {}); }), HasSubstr("the train set is empty"));
    EXPECT_THAT(message_without([](hdf5::File& file) { file.create_group("train"); }), HasSubstr(":/train has no dataset \"x\""));
}

TEST_F(BadShard, TypesThatAreNotRead) {
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    auto group = file.create_group("train");
                    group.write<std::int32_t>("x", {1, 1}, std::vector<std::int32_t>{1});
                    group.write<std::int64_t>("y", {1}, std::vector<std::int64_t>{0});
                }),
                HasSubstr("/train/x holds int32; it must be float32, float64 or uint8"));
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    auto group = file.create_group("train");
                    group.write<std::uint8_t>("x", {1, 1}, std::vector<std::uint8_t>{1});
                    group.write<std::int64_t>("y", {1}, std::vector<std::int64_t>{0});
                }),
                HasSubstr("lacks the attributes \"scale\" and \"offset\""));
}

// A dataset may claim a size without having it.
TEST_F(BadShard, ShapesThatNoMemoryHolds) {
    constexpr std::size_t rows = std::size_t{1} << 42;
    EXPECT_THAT(message_without([](hdf5::File& file) {
                    auto group = file.create_group("train");
                    group.create_dataset<float>("x", {rows, 16});
                    group.create_dataset<std::int64_t>("y", {rows});
                }),
                HasSubstr("bad.h5:/train/x claims 70368744177664 values, but 0 bytes are stored"));
}

TEST_F(BadShard, MissingAndCutFiles) {
    EXPECT_THAT(message_of<DataError>([&] { (void)read_shard(folder_ / "none.h5"); }), HasSubstr("none.h5: no such file"));
    write_shard(path_, small_shard());
    const std::string whole = read_text(path_);
    write_text(path_, whole.substr(0, whole.size() / 2));
    EXPECT_THAT(message_of<DataError>([&] { (void)read_shard(path_); }), HasSubstr("it is cut or not an HDF5 file"));
}

TEST_F(BadShard, InspectFindsEveryBadSplit) {
    (void)message_without([](hdf5::File& file) {
        add_split(file, "train", {1, NAN}, 1, {0, 1});
        add_split(file, "test", {1, 2}, 1, {0, 9});
    });
    std::vector<std::string> problems;
    (void)inspect_shard(path_, problems);
    EXPECT_THAT(problems, ElementsAre(HasSubstr("train x"), HasSubstr("test y")));
}

TEST(TestShard, NeedsTestRowsAndNoTrain) {
    const TemporaryFolder folder;
    Shard shard = small_shard();
    shard.train = {};
    write_shard(folder / "test.h5", shard);
    expect_equal(read_test_shard(folder / "test.h5").test, shard.test);
    EXPECT_THAT(message_of<DataError>([&] { (void)read_shard(folder / "test.h5"); }), HasSubstr("eval.common_test"));
    shard = small_shard();
    shard.test = {};
    write_shard(folder / "train.h5", shard);
    EXPECT_THAT(message_of<DataError>([&] { (void)read_test_shard(folder / "train.h5"); }), HasSubstr("has no test rows"));
}

// float64 features, labels of any integer type, no silo and no source: what people write by hand.
TEST(Shard, LooselyWrittenShardsRead) {
    const TemporaryFolder folder;
    {
        hdf5::File file = hdf5::create_file(folder / "silo-7.h5");
        file.set_attribute("format", "silosum-shard");
        file.set_attribute("version", std::int64_t{1});
        file.set_attribute("task", "binary");
        auto group = file.create_group("train");
        group.write<double>("x", {2, 2}, std::vector<double>{0.1, 2, 3, 4});
        group.write<std::uint8_t>("y", {2}, std::vector<std::uint8_t>{1, 0});
    }
    const Shard shard = read_shard(folder / "silo-7.h5");
    EXPECT_EQ(shard.silo, "silo-7");
    EXPECT_EQ(shard.problem, (Problem{.task = Task::binary, .classes = 2, .feature_shape = {2}}));
    EXPECT_THAT(shard.train.floats, ElementsAre(0.1F, 2.0F, 3.0F, 4.0F));
    EXPECT_THAT(shard.train.labels, ElementsAre(1, 0));
}

// The Python of docs/formats.md.
TEST(Shard, ShardsWrittenByH5pyRead) {
    const std::string python = "/usr/bin/python3";
    if (std::system((python + " -c 'import h5py, numpy' 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "python3-h5py is not installed";
    const TemporaryFolder folder;
    write_text(folder / "write.py", R"(
import sys, h5py, numpy
with h5py.File(sys.argv[1], "w") as f:
    f.attrs["format"] = "silosum-shard"
    f.attrs["version"] = 1
    f.attrs["silo"] = "Zürich"
    f.attrs["task"] = "classification"
    f.attrs["classes"] = numpy.int32(4)
    f.attrs["class_names"] = ["a", "b", "c", "d"]
    for name, rows in [("train", 12), ("test", 3)]:
        g = f.create_group(name)
        x = numpy.arange(rows * 3 * 2 * 2, dtype=numpy.uint8).reshape(rows, 3, 2, 2)
        d = g.create_dataset("x", data=x, chunks=(2, 3, 2, 2), compression="gzip")
        d.attrs["scale"] = 1 / 255
        d.attrs["offset"] = numpy.float32(-0.5)
        g["y"] = numpy.arange(rows) % 4
)");
    const std::string command = python + " " + (folder / "write.py").string() + " " + (folder / "a.h5").string();
    ASSERT_EQ(std::system(command.c_str()), 0);
    const Shard shard = read_shard(folder / "a.h5");
    EXPECT_EQ(shard.silo, "Zürich");
    EXPECT_THAT(shard.class_names, ElementsAre("a", "b", "c", "d"));
    EXPECT_THAT(shard.problem.feature_shape, ElementsAre(3, 2, 2));
    EXPECT_EQ(shard.pixel_scale, 1.0F / 255.0F);
    EXPECT_EQ(shard.pixel_offset, -0.5F);
    EXPECT_EQ(shard.train.rows, 12U);
    EXPECT_EQ(shard.train.labels[5], 1);
    // Row 1 on disk is 12, 13, ... in (C, H, W); its first pixel has the channels 12, 16, 20.
    EXPECT_EQ(shard.train.bytes[12], 12);
    EXPECT_EQ(shard.train.bytes[13], 16);
    EXPECT_EQ(shard.train.bytes[14], 20);
    EXPECT_EQ(shard.train.bytes[15], 13);
}

}  // namespace
}  // namespace silosum
