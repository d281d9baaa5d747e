#include "data/import_mnist.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/gzip.hpp"
#include "support/idx.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImportMnist : public ::testing::Test {
protected:
    std::string refusal() {
        return message_of<DataError>([&] { (void)import_mnist(folder_.path()); });
    }
    void write_train(std::size_t images, std::size_t labels) {
        write_text(folder_ / "train-images-idx3-ubyte", idx_images(images, 2, 3));
        write_text(folder_ / "train-labels-idx1-ubyte", idx_labels(labels));
    }
    TemporaryFolder folder_;
};

TEST_F(ImportMnist, PlainAndGzipAndBothSpellingsReadTheSame) {
    write_train(20, 20);
    const Source plain = import_mnist(folder_.path());
    const TemporaryFolder packed;
    write_gzip(packed / "train-images.idx3-ubyte.gz", idx_images(20, 2, 3));
    write_gzip(packed / "train-labels-idx1-ubyte.gz", idx_labels(20));
    const Source gzip = import_mnist(packed.path());
    EXPECT_EQ(gzip.rows.bytes, plain.rows.bytes);
    EXPECT_EQ(gzip.rows.labels, plain.rows.labels);
    EXPECT_EQ(plain.rows.rows, 20U);
    EXPECT_EQ(plain.rows.bytes[7], 7);
    EXPECT_EQ(plain.rows.labels[12], 2);
    EXPECT_EQ(plain.problem, (Problem{.task = Task::classification, .classes = 10, .feature_shape = {2, 3}}));
    EXPECT_EQ(plain.common_test.rows, 0U);
    EXPECT_EQ(plain.pixel_scale, 1.0F / 255.0F);
}

TEST_F(ImportMnist, TheTestPairIsTheCommonTestSet) {
    write_train(20, 20);
    write_text(folder_ / "t10k-images-idx3-ubyte", idx_images(5, 2, 3));
    EXPECT_THAT(refusal(), HasSubstr("has t10k images but no t10k labels"));
    write_text(folder_ / "t10k-labels-idx1-ubyte", idx_labels(5));
    EXPECT_EQ(import_mnist(folder_.path()).common_test.rows, 5U);
    write_text(folder_ / "t10k-images-idx3-ubyte", idx_images(5, 3, 2));
    EXPECT_THAT(refusal(), HasSubstr("2 x 3"));
}

TEST_F(ImportMnist, FaultsAreNamed) {
    EXPECT_THAT(refusal(), HasSubstr("has no train-images-idx3-ubyte"));
    write_train(20, 19);
    EXPECT_THAT(refusal(), HasSubstr("holds 20 images, "));
    EXPECT_THAT(refusal(), HasSubstr("holds 19 labels"));
    write_train(20, 20);
    std::string images = idx_images(20, 2, 3);
    write_text(folder_ / "train-images-idx3-ubyte", images.substr(0, images.size() - 1));
    EXPECT_THAT(refusal(), HasSubstr("is cut: its header announces 120 values, it holds 119"));
    write_text(folder_ / "train-images-idx3-ubyte", images + "x");
    EXPECT_THAT(refusal(), HasSubstr("is too long"));
    write_text(folder_ / "train-images-idx3-ubyte", images.substr(0, 9));
    EXPECT_THAT(refusal(), HasSubstr("is cut"));
    images[3] = 1;
    write_text(folder_ / "train-images-idx3-ubyte", images);
    EXPECT_THAT(refusal(), HasSubstr("is not an IDX file of images: it begins with 0x00000801, expected 0x00000803"));
    EXPECT_THAT(message_of<DataError>([&] { (void)import_mnist(folder_ / "none"); }), HasSubstr("no such folder"));
}

}  // namespace
}  // namespace silosum
