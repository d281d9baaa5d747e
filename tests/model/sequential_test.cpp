// Laws of the model as a whole: sizes, load and store, the training step, and what its bits may depend on.
#include "model/sequential.hpp"

#include <cmath>
#include <cstring>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "model/model_list.hpp"
#include "support/model_case.hpp"

namespace silosum {
namespace {

using test::classes_of;
using test::layers_from;
using test::Samples;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Threads one_thread(1);

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<float> stored(const Sequential& model) {
    std::vector<float> flat(model.layout().size());
    model.store(flat);
    return flat;
}

std::size_t parameters_of(const std::string& name, const Problem& problem) {
    return Sequential(model_layers(name), problem, "auto", one_thread, 1).layout().size();
}

/// The model with parameters after some steps on consecutive batches.
std::vector<float> trained(Sequential& model, const Samples& samples, const OptimizerSettings& settings, std::size_t batch,
                           double lr = 0.1) {
    const Random dropout(4, Purpose::dropout, 1, 2);
    model.load(test::some_parameters(model));
    Optimizer optimizer = model.make_optimizer(settings);
    std::uint64_t step = 0;
    for (std::size_t first = 0; first < samples.batch.samples; first += batch) {
        const std::size_t count = std::min(batch, samples.batch.samples - first);
        model.train_step(samples.part(first, count, model.problem()), optimizer, lr, dropout, step++);
    }
    return stored(model);
}

const Problem colour = classes_of({3, 10, 11}, 4);
const char* const everything =
    "conv 5 3 pad=1, relu, maxpool 2, groupnorm 5, conv 18 3, tanh, dropout 0.2, avgpool 2 stride=1, layernorm, dense 20, gelu, dropout "
    "0.5, "
    "dense 19, relu, dense outputs";

TEST(Sequential, NamedModelsHaveThePublishedSizes) {
    const Problem mnist = classes_of({28, 28}, 10);
    EXPECT_EQ(parameters_of("softmax", mnist), 7'850U);
    EXPECT_EQ(parameters_of("2nn", mnist), 199'210U);    // McMahan et al. 2017, section 3
    EXPECT_EQ(parameters_of("cnn", mnist), 1'663'370U);  // the same
    EXPECT_EQ(parameters_of("lenet", mnist), 44'426U);   // 5x5 convolutions without padding, as niid_bench counts
    EXPECT_EQ(parameters_of("linear", test::binary_of({13})), 14U);
}

TEST(Sequential, TensorsAreNamedAsInTorchSequential) {
    const Sequential model(model_layers("cnn"), classes_of({1, 28, 28}, 10), "auto", one_thread, 1);
    EXPECT_EQ(model.layout().text(),
              "0.weight 32x1x5x5\n0.bias 32\n3.weight 64x32x5x5\n3.bias 64\n7.weight 512x3136\n7.bias 512\n9.weight 10x512\n9.bias 10\n");
    const Sequential vector(model_layers("2nn"), classes_of({784}, 10), "auto", one_thread, 1);
    EXPECT_EQ(vector.layout().text(), "0.weight 200x784\n0.bias 200\n2.weight 200x200\n2.bias 200\n4.weight 10x200\n4.bias 10\n");
}

TEST(Sequential, StoreGivesBackWhatLoadTook) {
    Sequential model(layers_from(everything), colour, "auto", one_thread, 4);
    std::vector<float> flat(model.layout().size());
    std::iota(flat.begin(), flat.end(), 1.0F);
    model.load(flat);
    EXPECT_TRUE(same_bits(stored(model), flat));
}

TEST(Sequential, OptimizerStateKeepsItsPlacesToo) {
    Sequential model(layers_from(everything), colour, "auto", one_thread, 4);
    Optimizer optimizer = model.make_optimizer({.kind = OptimizerSettings::Kind::adam});
    std::vector<float> flat(model.layout().size());
    std::iota(flat.begin(), flat.end(), 1.0F);
    model.load_state(optimizer, 1, flat);
    std::vector<float> back(flat.size());
    model.store_state(optimizer, 1, back);
    EXPECT_TRUE(same_bits(back, flat));
    model.store_state(optimizer, 0, back);
    EXPECT_EQ(std::count(back.begin(), back.end(), 0.0F), static_cast<std::ptrdiff_t>(back.size()));
}

TEST(Sequential, InitialValuesKeepTheirBounds) {
    const Sequential model(layers_from("conv 40 3, layernorm, relu, dense 50, relu, dense outputs"), classes_of({2, 6, 6}, 3), "auto",
                           one_thread, 1);
    std::vector<float> flat(model.layout().size());
    const auto tensor = [&](std::size_t i) {
        const Tensor& t = model.layout().tensors[i];
        return std::span<const float>(flat).subspan(t.offset, t.size());
    };
    const auto largest = [&](std::size_t i) {
        float most = 0;
        for (const float value : tensor(i)) most = std::max(most, std::abs(value));
        return most;
    };
    const auto mean_square = [&](std::size_t i) {
        return std::inner_product(tensor(i).begin(), tensor(i).end(), tensor(i).begin(), 0.0) / static_cast<double>(tensor(i).size());
    };
    const auto expect_norms_are_neutral = [&] {
        EXPECT_EQ(std::count(tensor(2).begin(), tensor(2).end(), 1.0F), std::ssize(tensor(2)));
        EXPECT_EQ(largest(3), 0);
    };
    model.initialise(1, InitialValues::fan_in, flat);
    expect_norms_are_neutral();
    EXPECT_LE(largest(0), 1 / std::sqrt(18.0F));
    EXPECT_GT(largest(0), 0.98F / std::sqrt(18.0F));
    EXPECT_GT(largest(1), 0.7F / std::sqrt(18.0F));  // biases too
    EXPECT_LE(largest(4), 1 / std::sqrt(640.0F));
    EXPECT_NEAR(mean_square(4), 1.0 / 640 / 3, 0.05 / 640 / 3);  // 32,000 values: the mean square is known to 0.5 %
    model.initialise(1, InitialValues::glorot, flat);
    expect_norms_are_neutral();
    EXPECT_LE(largest(4), std::sqrt(6.0F / 690));
    EXPECT_NEAR(mean_square(4), 2.0 / 690, 0.05 * 2 / 690);
    EXPECT_NEAR(mean_square(0), 2.0 / (18 + 360), 0.25 * 2 / (18 + 360));  // 720 values
    EXPECT_EQ(largest(5), 0);
    model.initialise(1, InitialValues::he, flat);
    expect_norms_are_neutral();
    EXPECT_NEAR(mean_square(4), 2.0 / 640, 0.05 * 2 / 640);
    EXPECT_EQ(largest(5), 0);
    model.initialise(1, InitialValues::zero, flat);
    expect_norms_are_neutral();
    EXPECT_EQ(largest(4), 0);
}

TEST(Sequential, InitialValuesFollowFromTheSeed) {
    const Sequential model(model_layers("2nn"), classes_of({20}, 3), "auto", one_thread, 1);
    std::vector<float> a(model.layout().size());
    std::vector<float> b(a.size());
    model.initialise(7, InitialValues::fan_in, a);
    model.initialise(7, InitialValues::fan_in, b);
    EXPECT_TRUE(same_bits(a, b));
    model.initialise(8, InitialValues::fan_in, b);
    EXPECT_FALSE(same_bits(a, b));
}

// A step fused into the backward pass is w - lr * g with one rounding fewer than gradient and step apart.
TEST(Sequential, FusedStepEqualsGradientThenStep) {
    const Samples samples(colour, 6);
    const Random dropout(4, Purpose::dropout, 1, 2);
    constexpr double lr = 0.1;
    Sequential model(layers_from(everything), colour, "auto", one_thread, 6);
    const auto before = test::some_parameters(model);
    std::vector<float> gradient(before.size());
    model.load(before);
    (void)model.gradient(samples.batch, gradient, dropout, 0);
    EXPECT_TRUE(same_bits(stored(model), before));
    Optimizer optimizer = model.make_optimizer({});
    ASSERT_TRUE(optimizer.settings().is_plain_sgd());
    model.train_step(samples.batch, optimizer, lr, dropout, 0);
    const auto after = stored(model);
    for (std::size_t i = 0; i < before.size(); ++i) {
        const double step = lr * static_cast<double>(gradient[i]);
        // Each sample's term is rounded into a sum that may be as large as the weight, the step, or terms of 0.01 that cancel.
        const double size = std::abs(static_cast<double>(before[i])) + std::abs(step) + lr * 0.01;
        ASSERT_NEAR(after[i], static_cast<double>(before[i]) - step, 4e-7 * size) << i;
    }
}

// Added one by one, slopes that are small beside a weight would round away.
TEST(Sequential, SmallSlopesOfManySamplesMoveLargeWeights) {
    constexpr std::size_t count = 4096;
    Samples samples(classes_of({8}, 3), count);
    Sequential model(layers_from("dense outputs"), classes_of({8}, 3), "auto", one_thread, count);
    std::vector<float> before(model.layout().size(), 100.0F);
    std::vector<float> gradient(before.size());
    const Random none(1, Purpose::dropout, 0, 0);
    model.load(before);
    (void)model.gradient(samples.batch, gradient, none, 0);
    Optimizer optimizer = model.make_optimizer({});
    constexpr double lr = 0.1;
    model.train_step(samples.batch, optimizer, lr, none, 0);
    const auto after = stored(model);
    for (std::size_t i = 0; i < before.size(); ++i) {
        // One rounding of the weight, half of its last place: 2^-18 at 100.
        ASSERT_NEAR(static_cast<double>(after[i]) - 100, -lr * static_cast<double>(gradient[i]), 0x1p-18 * 1.01) << i;
    }
}

// 1 - lr * weight_decay is 1 in single precision: the decay must not be lost.
TEST(Sequential, SmallWeightDecayIsNotLost) {
    const Samples samples(classes_of({8}, 3), 4);
    const auto moved = [&](double weight_decay) {
        Sequential model(layers_from("dense outputs"), classes_of({8}, 3), "auto", one_thread, 4);
        model.load(std::vector<float>(model.layout().size(), 1e-3F));
        const Random none(1, Purpose::dropout, 0, 0);
        Optimizer optimizer = model.make_optimizer({.weight_decay = weight_decay});
        for (std::uint64_t step = 0; step < 1000; ++step) model.train_step(samples.batch, optimizer, 1e-3, none, step);
        return stored(model);
    };
    EXPECT_FALSE(same_bits(moved(1e-5), moved(0)));
}

// The path with a gradient buffer does the same step: clipping that never acts changes the path, not the result.
TEST(Sequential, PlainAndBufferedStepsAgree) {
    const Samples samples(colour, 12);
    Sequential model(layers_from(everything), colour, "auto", one_thread, 4);
    const auto plain = trained(model, samples, {}, 4);
    const auto buffered = trained(model, samples, {.clip_norm = 1e30}, 4);
    for (std::size_t i = 0; i < plain.size(); ++i) ASSERT_NEAR(plain[i], buffered[i], 1e-5) << i;
    EXPECT_FALSE(same_bits(plain, test::some_parameters(model)));
}

class SequentialBits : public testing::TestWithParam<OptimizerSettings> {};

TEST_P(SequentialBits, DoNotDependOnThreads) {
    const Samples samples(colour, 23);
    Sequential alone(layers_from(everything), colour, "auto", one_thread, 5);
    const auto expected = trained(alone, samples, GetParam(), 5);
    for (const std::size_t count : {2, 3}) {
        const Threads threads(count);
        Sequential model(layers_from(everything), colour, "auto", threads, 5);
        EXPECT_TRUE(same_bits(trained(model, samples, GetParam(), 5), expected)) << count << " threads";
        EXPECT_EQ(model.loss(samples.batch).loss, alone.loss(samples.batch).loss);
    }
}

TEST_P(SequentialBits, DoNotDependOnTheHintOrOnEarlierUse) {
    const Samples samples(colour, 23);
    Sequential usual(layers_from(everything), colour, "auto", one_thread, 5);
    const auto expected = trained(usual, samples, GetParam(), 5);
    Sequential small(layers_from(everything), colour, "auto", one_thread, 1);
    Sequential large(layers_from(everything), colour, "auto", one_thread, 100);
    EXPECT_TRUE(same_bits(trained(small, samples, GetParam(), 5), expected));
    EXPECT_TRUE(same_bits(trained(large, samples, GetParam(), 5), expected));
    (void)trained(usual, samples, GetParam(), 9);
    EXPECT_TRUE(same_bits(trained(usual, samples, GetParam(), 5), expected));
}

INSTANTIATE_TEST_SUITE_P(Optimizers, SequentialBits,
                         testing::Values(OptimizerSettings{}, OptimizerSettings{.momentum = 0.9, .nesterov = true, .clip_norm = 0.5},
                                         OptimizerSettings{.kind = OptimizerSettings::Kind::adam, .weight_decay = 0.01}));

TEST(Sequential, GroupsOfSamplesGiveTheBitsOfTheWholeBatch) {
    // Large images: one thread runs them in groups smaller than the batch, two threads the batch as a whole.
    const Problem problem = classes_of({3, 48, 48}, 4);
    const auto layers = layers_from(
        "conv 24 5 pad=2, relu, avgpool 3 stride=1, groupnorm 6, conv 24 3, relu, dropout 0.2, gelu, conv 16 3, relu, maxpool 2, "
        "conv 20 3 pad=1, relu, conv 8 3 pad=1, tanh, dropout 0.3, dense outputs");
    const Samples samples(problem, 20);
    const Threads two(2);
    Sequential grouped(layers, problem, "auto", one_thread, 16);
    Sequential whole(layers, problem, "auto", two, 16);
    EXPECT_LT(grouped.memory_bytes(), whole.memory_bytes());
    EXPECT_TRUE(same_bits(trained(grouped, samples, {}, 16), trained(whole, samples, {}, 16)));
}

TEST(Sequential, ABatchThatEndsShortIsTheMeanOfWhatItHas) {
    const Samples samples(colour, 7);
    Sequential model(layers_from("conv 4 3, relu, dense outputs"), colour, "auto", one_thread, 5);
    model.load(test::some_parameters(model));
    const Random dropout(1, Purpose::dropout);
    std::vector<float> all(model.layout().size());
    std::vector<float> five(all.size());
    std::vector<float> two(all.size());
    const double mean_five = model.gradient(samples.part(0, 5, colour), five, dropout, 0);
    const auto bytes = model.memory_bytes();
    const double mean_two = model.gradient(samples.part(5, 2, colour), two, dropout, 0);
    EXPECT_EQ(model.memory_bytes(), bytes);
    const double mean_all = model.gradient(samples.batch, all, dropout, 0);
    EXPECT_NEAR(mean_all, (5 * mean_five + 2 * mean_two) / 7, 1e-6);
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_NEAR(all[i], (5 * five[i] + 2 * two[i]) / 7, 1e-5);
}

TEST(Sequential, PredictionsOfAnyNumberOfSamplesEqualOneByOne) {
    const Samples samples(colour, 300);
    Sequential model(layers_from(everything), colour, "auto", one_thread, 7);
    model.load(test::some_parameters(model));
    std::vector<float> together(300 * 4);
    std::vector<float> apart(300 * 4);
    model.predict(300, samples.x.data(), together.data());
    for (std::size_t i = 0; i < 300; ++i) model.predict(1, samples.x.data() + i * colour.features(), apart.data() + i * 4);
    EXPECT_TRUE(same_bits(together, apart));
    const auto sum = model.loss(samples.batch);
    std::uint64_t correct = 0;
    for (std::size_t i = 0; i < 300; ++i) {
        const auto logits = std::span(apart).subspan(i * 4, 4);
        correct += std::max_element(logits.begin(), logits.end()) - logits.begin() == samples.labels[i] ? 1U : 0U;
    }
    EXPECT_EQ(sum.correct, correct);
    EXPECT_EQ(sum.weight, 300);
}

TEST(Sequential, LossOfManySamplesIsTheSumOfEachOne) {
    for (const auto& problem : {colour, test::binary_of({6}), test::regression_of({6})}) {
        const Samples samples(problem, 2 * logits_block + 5);
        Sequential model(layers_from("dense 5, tanh, dense outputs"), problem, "auto", one_thread, 7);
        model.load(test::some_parameters(model));
        kernels::LossSum apart;
        for (std::size_t i = 0; i < samples.batch.samples; ++i) {
            const auto one = model.loss(samples.part(i, 1, problem));
            apart.loss += one.loss;
            apart.weight += one.weight;
            apart.correct += one.correct;
        }
        const auto together = model.loss(samples.batch);
        EXPECT_NEAR(together.loss, apart.loss, 1e-12 * apart.loss);
        EXPECT_EQ(together.weight, apart.weight);
        EXPECT_EQ(together.correct, apart.correct);
    }
}

// The law: a mask is a function of (seed, silo, round, step, place). Each change of one of them changes the gradient; nothing else does.
TEST(Sequential, DropoutFollowsFromItsCoordinates) {
    const Problem problem = classes_of({40}, 3);
    const Samples samples(problem, 6);
    Sequential model(layers_from("dropout 0.5, dense 30, dropout 0.5, dense outputs"), problem, "auto", one_thread, 6);
    Sequential other(layers_from("dropout 0.5, dense 30, dropout 0.5, dense outputs"), problem, "auto", one_thread, 17);
    const auto flat = test::some_parameters(model);
    const auto gradient_of = [&](Sequential& of, const Random& dropout, std::uint64_t step) {
        of.load(flat);
        std::vector<float> gradient(flat.size());
        (void)of.gradient(samples.batch, gradient, dropout, step);
        return gradient;
    };
    const Random base(1, Purpose::dropout, 2, 3);
    const auto expected = gradient_of(model, base, 4);
    (void)gradient_of(other, base, 9);
    EXPECT_TRUE(same_bits(gradient_of(other, base, 4), expected));
    EXPECT_FALSE(same_bits(gradient_of(model, base, 5), expected));
    EXPECT_FALSE(same_bits(gradient_of(model, Random(2, Purpose::dropout, 2, 3), 4), expected));
    EXPECT_FALSE(same_bits(gradient_of(model, Random(1, Purpose::dropout, 1, 3), 4), expected));
    EXPECT_FALSE(same_bits(gradient_of(model, Random(1, Purpose::dropout, 2, 4), 4), expected));
}

TEST(Sequential, DropoutDropsItsShareAndKeepsTheMean) {
    // One linear output over many inputs of 1 with weight 1: the output is the sum of the mask's factors.
    const Problem problem = test::regression_of({20'000});
    Sequential model(layers_from("dropout 0.3, dense outputs"), problem, "auto", one_thread, 1);
    std::vector<float> flat(model.layout().size(), 1.0F);
    flat.back() = 0;
    model.load(flat);
    const std::vector<float> x(20'000, 1.0F);
    const float target = 0;
    std::vector<float> gradient(flat.size());
    const double loss = model.gradient({.samples = 1, .x = x.data(), .targets = &target}, gradient, Random(1, Purpose::dropout), 0);
    // Mean 20,000, deviation sqrt(20,000 * 0.3 / 0.7) = 93; five deviations.
    EXPECT_NEAR(std::sqrt(loss), 20'000, 5 * 93);
    const auto dropped = std::count(gradient.begin(), gradient.end() - 1, 0.0F);
    EXPECT_NEAR(static_cast<double>(dropped), 6'000, 5 * 65);
}

TEST(Sequential, TrainingLowersTheLoss) {
    const Samples samples(colour, 20);
    for (const auto& settings :
         {OptimizerSettings{}, OptimizerSettings{.momentum = 0.9}, OptimizerSettings{.kind = OptimizerSettings::Kind::adam}}) {
        Sequential model(layers_from("conv 8 3, relu, maxpool 2, dense outputs"), colour, "auto", one_thread, 20);
        model.load(test::some_parameters(model));
        Optimizer optimizer = model.make_optimizer(settings);
        const double before = model.loss(samples.batch).loss;
        for (std::uint64_t step = 0; step < 100; ++step) {
            model.train_step(samples.batch, optimizer, settings.kind == OptimizerSettings::Kind::adam ? 0.01 : 0.05,
                             Random(1, Purpose::dropout), step);
        }
        const auto losses = model.take_losses();
        EXPECT_EQ(losses.size(), 100U);
        EXPECT_NEAR(losses.front().loss, before, 1e-6 * before);
        EXPECT_LT(model.loss(samples.batch).loss, before / 2);
    }
}

TEST(Sequential, MemoryIsWhatWasEstimated) {
    const Samples samples(colour, 8);
    for (const std::size_t threads_count : {1, 2}) {
        const Threads threads(threads_count);
        for (const auto& settings :
             {OptimizerSettings{}, OptimizerSettings{.momentum = 0.5}, OptimizerSettings{.kind = OptimizerSettings::Kind::adam}}) {
            Sequential model(layers_from(everything), colour, "auto", threads, 8);
            Optimizer optimizer = model.make_optimizer(settings);
            model.train_step(samples.batch, optimizer, 0.1, Random(1, Purpose::dropout), 0);
            EXPECT_EQ(model.memory_bytes() + optimizer.memory_bytes(),
                      Sequential::estimate_memory_bytes(layers_from(everything), colour, Stream(threads), 8, settings));
        }
    }
}

TEST(Sequential, ClassWeightsOfOneChangeNothing) {
    const Samples samples(colour, 9);
    Sequential model(layers_from("dense outputs"), colour, "auto", one_thread, 9);
    const auto expected = trained(model, samples, {}, 9);
    model.set_class_weights({1, 1, 1, 1});
    EXPECT_TRUE(same_bits(trained(model, samples, {}, 9), expected));
    // A batch whose samples all weigh 0 moves nothing.
    model.set_class_weights({0, 0, 0, 0});
    EXPECT_TRUE(same_bits(trained(model, samples, {}, 9), test::some_parameters(model)));
    EXPECT_THAT([&] { model.set_class_weights({1, 2}); }, ThrowsMessage<UsageError>(HasSubstr("2 class weights do not fit")));
}

TEST(Sequential, LossMustFitTheTask) {
    EXPECT_THAT([] { Sequential(layers_from("dense outputs"), colour, "mse", one_thread, 1); },
                ThrowsMessage<UsageError>(HasSubstr("loss mse does not fit the task classification; use auto or softmax_cross_entropy")));
    EXPECT_THAT([] { Sequential(layers_from("dense outputs"), colour, "mze", one_thread, 1); },
                ThrowsMessage<UsageError>(HasSubstr("did you mean \"mse\"")));
}

}  // namespace
}  // namespace silosum
