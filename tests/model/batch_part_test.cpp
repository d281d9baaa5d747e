// Ranks that share a batch: the gradients of its parts add up to that of the whole, with the same dropout, and the step is the same.
#include "model/batch_part.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "model/sequential.hpp"
#include "support/model_case.hpp"

namespace silosum {
namespace {

// The ranks before the last one, and the sum that the last one is given.
class Parts final : public GradientSum {
public:
    kernels::LossSum add_up(const kernels::LossSum& loss, std::span<float> gradient) override {
        whole_.loss += loss.loss;
        whole_.weight += loss.weight;
        whole_.correct += loss.correct;
        sum_.resize(gradient.size(), 0.0F);
        magnitudes_.resize(gradient.size(), 0.0F);
        for (std::size_t i = 0; i < gradient.size(); ++i) {
            magnitudes_[i] += std::fabs(gradient[i]);
            gradient[i] = sum_[i] += gradient[i];
        }
        return whole_;
    }
    [[nodiscard]] float largest() const { return *std::max_element(magnitudes_.begin(), magnitudes_.end()); }

private:
    kernels::LossSum whole_;
    std::vector<float> sum_;
    std::vector<float> magnitudes_;
};

const Threads one_thread(1);
const Problem colour = test::classes_of({3, 10, 11}, 4);
const char* const layers = "conv 5 3, relu, dropout 0.2, maxpool 2, dense 20, tanh, dropout 0.5, dense outputs";
const OptimizerSettings with_momentum{.momentum = 0.5};
constexpr std::size_t samples_of_batch = 12;

struct Step {
    std::vector<float> parameters;
    kernels::LossSum loss;
    float largest = 0;  // sum over the parts of the magnitude of a coordinate of the gradient
};

// Step 3 of a round, with class weights: on the whole batch where there are no cuts.
Step step_in_parts(const std::vector<std::size_t>& cuts, const OptimizerSettings& settings = with_momentum) {
    const test::Samples samples(colour, samples_of_batch);
    const Random dropout(4, Purpose::dropout, 1, 2);
    Sequential model(test::layers_from(layers), colour, "auto", one_thread, 1);
    model.set_class_weights({0.5F, 1.5F, 1, 3});
    Step step{.parameters = std::vector<float>(model.layout().size()), .loss = {}};
    Parts parts;
    double weight = model.class_weights().empty() ? static_cast<double>(samples.batch.samples) : 0;
    for (std::size_t i = 0; !model.class_weights().empty() && i < samples.batch.samples; ++i) {
        weight += static_cast<double>(model.class_weights()[static_cast<std::size_t>(samples.batch.labels[i])]);
    }
    for (std::size_t i = 0; i + 1 < std::max<std::size_t>(2, cuts.size()); ++i) {
        model.load(test::some_parameters(model));
        Optimizer optimizer = model.make_optimizer(settings);
        if (cuts.empty()) {
            model.train_step(samples.batch, optimizer, 1, dropout, 3);
            step.loss = model.take_losses().front();
        } else {
            const Batch part = samples.part(cuts[i], cuts[i + 1] - cuts[i], colour);
            model.train_step(part, optimizer, 1, dropout, 3, {.first = cuts[i], .weight = weight, .others = &parts});
            step.loss = model.take_losses().front();
        }
    }
    model.store(step.parameters);
    step.largest = cuts.empty() ? 0 : parts.largest();
    return step;
}

TEST(BatchPart, PartsAddUpToTheWholeBatch) {
    const Step whole = step_in_parts({});
    for (const auto& cuts : std::vector<std::vector<std::size_t>>{{0, 12}, {0, 6, 12}, {0, 1, 2, 12}, {0, 0, 5, 5, 12, 12}}) {
        const Step parts = step_in_parts(cuts);
        // A coordinate adds up at most a term for each sample and pixel, each addition within half an ulp of what it has so far.
        const float tolerance = 2 * samples_of_batch * 72 * 0x1p-24F * parts.largest;
        EXPECT_LT(tolerance, 2e-3F) << "or it would not see a wrong mask or scale";
        for (std::size_t i = 0; i < whole.parameters.size(); ++i) {
            ASSERT_NEAR(parts.parameters[i], whole.parameters[i], tolerance) << i << ", " << cuts.size() - 1 << " parts";
        }
        EXPECT_NEAR(parts.loss.loss, whole.loss.loss, 1e-12 * whole.loss.loss) << "added in double";
        EXPECT_EQ(parts.loss.weight, whole.loss.weight);
        EXPECT_EQ(parts.loss.correct, whole.loss.correct);
    }
}

// A part that is the whole batch has no sum that could round otherwise.
TEST(BatchPart, OnePartIsTheBatch) {
    EXPECT_EQ(step_in_parts({0, 12}).parameters, step_in_parts({}).parameters);
}

// Plain SGD would put each sample's slope straight into the parameters: not where others have slopes too.
TEST(BatchPart, NothingIsSteppedInPlace) {
    EXPECT_EQ(step_in_parts({0, 6, 12}, {}).parameters, step_in_parts({0, 6, 12}).parameters) << "the first step knows no momentum";
}

}  // namespace
}  // namespace silosum
