// Kernels given as one graph do what they do one by one.
#include <vector>

#include <gtest/gtest.h>

#include "kernels/activation.hpp"
#include "kernels/optimizer_step.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

class GraphOfKernels : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, GraphOfKernels, testing::ValuesIn(places()), place_name);

constexpr std::size_t most = 9000;  // the sum of squares of so many has several blocks, of 100 one

/// What some steps leave, in which the size of the batch, the place in the dropout stream and the settings of Adam change.
class Steps {
public:
    explicit Steps(const Stream& stream)
        : stream_(stream),
          parameters_(copied(random_values(most, 1))),
          gradient_(copied(random_values(most, 2))),
          m_(stream.allocate<float>(most)),
          v_(stream.allocate<float>(most)),
          dropped_(stream.allocate<float>(most)),
          clip_(stream.allocate<float>(1)),
          norm_(stream.allocate<double>(1)) {}

    void take(std::uint64_t number, std::size_t n) {
        stream_.run([&](const auto& on) {
            dropout(n, Random(7, Purpose::dropout), number * most, 0.5F, gradient_.data(), dropped_.data(), on);
            sum_of_squares(n, dropped_.data(), norm_.data(), on);
            clip_scale(norm_.data(), 0.5, clip_.data(), on);
            const AdamStep step{.lr = 0.01F * static_cast<float>(number), .step = number};
            adam_step(n, step, clip_.data(), parameters_.data(), dropped_.data(), m_.data(), v_.data(), on);
        });
    }
    /// In the midst of steps: no kernel is a copy, or memory that comes and goes.
    void exchange_vectors() {
        auto other = stream_.allocate<float>(most);
        stream_.copy<float>(m_.span(), other.span());
        stream_.copy<float>(v_.span(), m_.span());
        stream_.run([&](const auto& on) { relu_forward(most, other.data(), v_.data(), on); });
    }
    [[nodiscard]] std::vector<float> parameters() const {
        std::vector<float> host(most);
        stream_.download<float>(parameters_.span(), std::span(host));
        stream_.wait();
        return host;
    }

private:
    [[nodiscard]] Buffer<float> copied(const std::vector<float>& values) const {
        auto buffer = stream_.allocate<float>(values.size());
        stream_.upload<float>(values, buffer.span());
        stream_.wait();
        return buffer;
    }

    const Stream& stream_;
    Buffer<float> parameters_, gradient_, m_, v_, dropped_, clip_;
    Buffer<double> norm_;
};

TEST_P(GraphOfKernels, HasTheBitsOfItsKernels) {
    Steps together(stream()), one_by_one(stream());
    std::uint64_t number = 0;
    for (const std::size_t n : {100U, 100U, 31U, 100U, 9000U, 9000U, 31U}) {
        ++number;
        stream().run_as_graph([&] { together.take(number, n); });
        one_by_one.take(number, n);
    }
    EXPECT_EQ(together.parameters(), one_by_one.parameters());
}

TEST_P(GraphOfKernels, KeepsTheOrderOfWhatIsNoKernel) {
    Steps together(stream()), one_by_one(stream());
    for (std::uint64_t number = 1; number < 8; number += 2) {
        stream().run_as_graph([&] {
            together.take(number, 100);
            if (number == 3) together.exchange_vectors();
            together.take(number + 1, number < 6 ? 100 : most);  // the sum's memory grows within the graph
        });
        one_by_one.take(number, 100);
        if (number == 3) one_by_one.exchange_vectors();
        one_by_one.take(number + 1, number < 6 ? 100 : most);
    }
    EXPECT_EQ(together.parameters(), one_by_one.parameters());
}

}  // namespace
}  // namespace silosum::kernels
