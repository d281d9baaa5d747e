#include "io/hdf5.hpp"

#include <cstdlib>
#include <numeric>

#include <sys/resource.h>
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include "base/error.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

// HDF5 keeps the memory of a file that it could not close; the leak sanitizer asks this function what to overlook.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libhdf5";
}

namespace silosum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class T>
void expect_same_after_round_trip(const std::filesystem::path& path, const std::vector<T>& values) {
    {
        hdf5::File file = hdf5::create_file(path);
        file.write<T>("values", {values.size()}, values);
        file.close();
    }
    std::vector<T> back(values.size());
    hdf5::open_file(path).dataset("values").read<T>(back);
    EXPECT_EQ(back, values);
}

TEST(Hdf5, EveryTypeReadsBackAsWritten) {
    const TemporaryFolder folder;
    expect_same_after_round_trip<float>(folder / "f", {1.5F, -0.0F, 3e38F});
    expect_same_after_round_trip<double>(folder / "d", {1.0 / 3.0, -1e300});
    expect_same_after_round_trip<std::uint8_t>(folder / "b", {0, 255});
    expect_same_after_round_trip<std::int32_t>(folder / "i", {INT32_MIN, INT32_MAX});
    expect_same_after_round_trip<std::uint32_t>(folder / "u", {0, UINT32_MAX});
    expect_same_after_round_trip<std::int64_t>(folder / "l", {INT64_MIN, INT64_MAX});
    expect_same_after_round_trip<std::uint64_t>(folder / "m", {0, UINT64_MAX});
    expect_same_after_round_trip<float>(folder / "none", {});
}

TEST(Hdf5, RowsReadAndWriteAsPartsOfTheWhole) {
    const TemporaryFolder folder;
    std::vector<float> values(5 * 6);
    std::iota(values.begin(), values.end(), 0.0F);
    {
        hdf5::File file = hdf5::create_file(folder / "rows.h5");
        auto dataset = file.create_dataset<float>("x", {5, 2, 3});
        dataset.write_rows<float>(0, 2, std::span(values).first(12));
        dataset.write_rows<float>(2, 3, std::span(values).subspan(12));
    }
    const hdf5::File file = hdf5::open_file(folder / "rows.h5");
    const auto dataset = file.dataset("x");
    EXPECT_THAT(dataset.shape(), ElementsAre(5, 2, 3));
    EXPECT_EQ(dataset.row_size(), 6U);
    std::vector<float> rows(2 * 6);
    dataset.read_rows<float>(3, 2, rows);
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), values.begin() + 18));
    EXPECT_THAT(message_of<DataError>([&] { dataset.read_rows<float>(4, 2, rows); }), HasSubstr("it has 5"));
}

TEST(Hdf5, AttributesReadBackAsWritten) {
    const TemporaryFolder folder;
    {
        hdf5::File file = hdf5::create_file(folder / "a.h5");
        file.set_attribute("text", "old");
        file.set_attribute("text", "Zürich");
        file.set_attribute("empty", "");
        file.set_attribute("count", std::int64_t{-7});
        file.set_attribute("rate", 0.1);
        auto group = file.create_group("part");
        group.set_attribute("names", std::vector<std::string>{"a", "", "long name"});
        group.set_attribute("counts", std::vector<std::int64_t>{1, 2});
        group.set_attribute("none", std::vector<double>{});
    }
    const hdf5::File file = hdf5::open_file(folder / "a.h5");
    EXPECT_EQ(file.string_attribute("text"), "Zürich");
    EXPECT_EQ(file.string_attribute("empty"), "");
    EXPECT_EQ(file.integer_attribute("count"), -7);
    EXPECT_EQ(file.double_attribute("rate"), 0.1);
    EXPECT_EQ(file.double_attribute("count"), -7.0);
    EXPECT_THAT(file.group("part").string_attributes("names"), ElementsAre("a", "", "long name"));
    EXPECT_THAT(file.group("part").integer_attributes("counts"), ElementsAre(1, 2));
    EXPECT_TRUE(file.group("part").double_attributes("none").empty());
}

TEST(Hdf5, MessagesNameFileObjectAndCause) {
    const TemporaryFolder folder;
    {
        hdf5::File file = hdf5::create_file(folder / "m.h5");
        file.set_attribute("text", "word");
        file.set_attribute("pair", std::vector<std::int64_t>{1, 2});
        file.write<double>("x", {2}, std::vector<double>{1.5, 2.5});
    }
    const hdf5::File file = hdf5::open_file(folder / "m.h5");
    const std::string path = (folder / "m.h5").string();
    EXPECT_EQ(message_of<DataError>([&] { (void)file.integer_attribute("text"); }), path + ":/ attribute \"text\" must be an integer");
    EXPECT_EQ(message_of<DataError>([&] { (void)file.integer_attribute("none"); }), path + ":/ has no attribute \"none\"");
    EXPECT_EQ(message_of<DataError>([&] { (void)file.integer_attribute("pair"); }),
              path + ":/ attribute \"pair\" must hold one value, it holds 2");
    EXPECT_EQ(message_of<DataError>([&] { (void)file.dataset("y"); }), path + ":/ has no dataset \"y\"");
    std::vector<std::int32_t> wrong_type(2);
    EXPECT_EQ(message_of<DataError>([&] { file.dataset("x").read<std::int32_t>(wrong_type); }),
              path + ":/x holds float64, expected integers");
    std::vector<double> wrong_size(3);
    EXPECT_EQ(message_of<DataError>([&] { file.dataset("x").read<double>(wrong_size); }), path + ":/x holds 2 values, expected 3");
}

TEST(Hdf5, FilesThatCannotBeReadSayWhy) {
    const TemporaryFolder folder;
    const auto open = [](const std::filesystem::path& path) { return message_of<DataError>([&] { (void)hdf5::open_file(path); }); };
    EXPECT_THAT(open(folder / "none.h5"), HasSubstr("none.h5: no such file"));
    EXPECT_THAT(open(folder.path()), HasSubstr("it is a folder"));
    write_text(folder / "text.h5", "this is not HDF5\n");
    EXPECT_THAT(open(folder / "text.h5"), HasSubstr("text.h5: it is cut or not an HDF5 file"));
    write_text(folder / "empty.h5", "");
    EXPECT_THAT(open(folder / "empty.h5"), HasSubstr("it is cut or not an HDF5 file"));
}

// Cutting the file anywhere gives one DataError, never a crash or wrong values.
TEST(Hdf5, AFileCutAnywhereIsRefused) {
    const TemporaryFolder folder;
    const std::vector<float> values(1000, 1.0F);
    {
        hdf5::File file = hdf5::create_file(folder / "whole.h5");
        file.create_group("g").write<float>("x", {10, 100}, values);
        file.set_attribute("text", "word");
    }
    const std::string whole = read_text(folder / "whole.h5");
    for (std::size_t size = 0; size < whole.size(); size += 97) {
        write_text(folder / "part.h5", whole.substr(0, size));
        const std::string message = message_of<DataError>([&] {
            const hdf5::File file = hdf5::open_file(folder / "part.h5");
            std::vector<float> back(1000);
            file.group("g").dataset("x").read<float>(back);
        });
        EXPECT_THAT(message, HasSubstr("part.h5")) << size << " bytes";
        EXPECT_THAT(message, HasSubstr("it is cut")) << size << " bytes";
    }
}

// What h5py writes: variable-length UTF-8 strings, fixed strings, numbers of every width, one-element arrays.
TEST(Hdf5, AttributesOfOtherWritersRead) {
    const TemporaryFolder folder;
    const std::string path = (folder / "other.h5").string();
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const auto write = [&](const char* name, hid_t type, hid_t space, const void* value) {
        const hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        H5Awrite(attribute, type, value);
        H5Aclose(attribute);
    };
    const hid_t scalar = H5Screate(H5S_SCALAR);
    const hsize_t one = 1;
    const hid_t array = H5Screate_simple(1, &one, nullptr);
    const hid_t variable = H5Tcopy(H5T_C_S1);
    H5Tset_size(variable, H5T_VARIABLE);
    H5Tset_cset(variable, H5T_CSET_UTF8);
    const char* text = "Bâle";
    write("variable", variable, scalar, &text);
    write("variable_array", variable, array, &text);
    const hid_t fixed = H5Tcopy(H5T_C_S1);
    H5Tset_size(fixed, 8);
    H5Tset_strpad(fixed, H5T_STR_NULLPAD);
    write("fixed", fixed, scalar, "abc\0\0\0\0\0");
    const hid_t full = H5Tcopy(H5T_C_S1);
    H5Tset_size(full, 3);
    H5Tset_strpad(full, H5T_STR_NULLPAD);
    write("full", full, scalar, "abc");
    const hid_t padded = H5Tcopy(H5T_FORTRAN_S1);
    H5Tset_size(padded, 5);
    write("padded", padded, scalar, "ab   ");
    const std::int16_t small = -3;
    write("int16", H5T_NATIVE_INT16, scalar, &small);
    const std::uint8_t tiny = 200;
    write("uint8", H5T_NATIVE_UINT8, array, &tiny);
    const float rate = 0.5F;
    write("float32", H5T_NATIVE_FLOAT, scalar, &rate);
    for (const hid_t space : {scalar, array}) H5Sclose(space);
    for (const hid_t type : {variable, fixed, full, padded}) H5Tclose(type);
    H5Fclose(file);

    const hdf5::File read = hdf5::open_file(path);
    EXPECT_EQ(read.string_attribute("variable"), "Bâle");
    EXPECT_EQ(read.string_attribute("variable_array"), "Bâle");
    EXPECT_EQ(read.string_attribute("fixed"), "abc");
    EXPECT_EQ(read.string_attribute("full"), "abc");
    EXPECT_EQ(read.string_attribute("padded"), "ab");
    EXPECT_EQ(read.integer_attribute("int16"), -3);
    EXPECT_EQ(read.integer_attribute("uint8"), 200);
    EXPECT_EQ(read.double_attribute("float32"), 0.5);
}

TEST(Hdf5, StringsAndNamesReadBack) {
    const TemporaryFolder folder;
    {
        hdf5::File file = hdf5::create_file(folder / "s.h5");
        file.write_strings("words", {"b", "", "c d"});
        file.create_group("a");
    }
    const hdf5::File file = hdf5::open_file(folder / "s.h5");
    EXPECT_THAT(file.names(), ElementsAre("a", "words"));
    EXPECT_THAT(file.dataset("words").read_strings(), ElementsAre("b", "", "c d"));
    EXPECT_TRUE(file.has_group("a"));
    EXPECT_FALSE(file.has_dataset("a"));
    EXPECT_FALSE(file.has("z"));
}

TEST(Hdf5, EqualContentGivesEqualBytes) {
    const TemporaryFolder folder;
    for (const char* name : {"1.h5", "2.h5"}) {
        hdf5::File file = hdf5::create_file(folder / name);
        file.set_attribute("text", "word");
        file.create_group("g").write<std::int64_t>("y", {2}, std::vector<std::int64_t>{1, 2});
        file.close();
    }
    EXPECT_EQ(read_text(folder / "1.h5"), read_text(folder / "2.h5"));
}

/// While it lives, files cannot grow beyond `bytes`: it stands in for a full disk.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit small{bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

private:
    rlimit before_{};
    void (*handler_)(int);
};

// With the limit met while values are written, or only when the rest is flushed. The process goes on, and ends without a crash.
TEST(Hdf5, AFullDiskIsARuntimeErrorThatNamesTheFile) {
    const TemporaryFolder folder;
    for (const rlim_t limit : {0U, 1000U, 4096U, 100000U, 400000U, 401000U}) {
        const std::string message = message_of<RuntimeError>([&] {
            const FileSizeLimit full_disk(limit);
            hdf5::File file = hdf5::create_file(folder / "big.h5");
            file.set_attribute("text", std::string(2000, 'x'));
            file.create_group("g").write<float>("x", {100000}, std::vector<float>(100000));
            file.close();
        });
        EXPECT_THAT(message, HasSubstr("big.h5")) << limit;
        EXPECT_THAT(message, HasSubstr("File too large")) << limit;
    }
    expect_same_after_round_trip<float>(folder / "next.h5", {1.0F, 2.0F});
}

// The same in a process of its own, whose way to end is the test.
TEST(Hdf5DeathTest, AFullDiskDoesNotCrashTheExit) {
    const TemporaryFolder folder;
    const auto fail_and_exit = [&] {
        try {
            const FileSizeLimit full_disk(4096);
            hdf5::File file = hdf5::create_file(folder / "big.h5");
            file.write<float>("x", {100000}, std::vector<float>(100000));
        } catch (const RuntimeError&) {
            std::exit(4);
        }
    };
    EXPECT_EXIT(fail_and_exit(), ::testing::ExitedWithCode(4), "");
}

// A claimed size that wraps around when it is multiplied out.
TEST(Hdf5, ADatasetOfImpossibleSizeIsRefused) {
    const TemporaryFolder folder;
    const std::string path = (folder / "big.h5").string();
    { const hdf5::File file = hdf5::create_file(path); }
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hsize_t sizes[] = {std::uint64_t{1} << 33, std::uint64_t{1} << 31};
    const hid_t space = H5Screate_simple(2, sizes, nullptr);
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[] = {16, 16};
    H5Pset_chunk(properties, 2, chunk);
    const hid_t dataset = H5Dcreate2(file, "x", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    EXPECT_GE(dataset, 0);
    H5Dclose(dataset);
    H5Pclose(properties);
    H5Sclose(space);
    H5Fclose(file);
    EXPECT_THAT(message_of<DataError>([&] { (void)hdf5::open_file(path).dataset("x"); }), HasSubstr("the file is damaged"));
}

// A shape is a few bytes of a file: reading what was never written would take any amount of memory.
TEST(Hdf5, ADatasetThatHoldsFarLessThanItClaimsIsRefused) {
    const TemporaryFolder folder;
    const std::string path = (folder / "hollow.h5").string();
    { const hdf5::File file = hdf5::create_file(path); }
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hsize_t sizes[] = {std::uint64_t{1} << 34};
    const hid_t space = H5Screate_simple(1, sizes, nullptr);
    const hid_t dataset = H5Dcreate2(file, "x", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(dataset, 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Fclose(file);
    EXPECT_THAT(message_of<DataError>([&] { (void)hdf5::open_file(path).dataset("x"); }),
                HasSubstr("claims 17179869184 values, but 0 bytes are stored: the file is damaged"));
}

TEST(Hdf5, AFileInAMissingFolderCannotBeCreated) {
    const TemporaryFolder folder;
    const auto message = message_of<RuntimeError>([&] { (void)hdf5::create_file(folder.path() / "no" / "a.h5"); });
    EXPECT_THAT(message, HasSubstr("a.h5: No such file or directory"));
}

}  // namespace
}  // namespace silosum
