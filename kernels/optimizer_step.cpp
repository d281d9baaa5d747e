// Vectorised SGD and Adam steps, and their specification in double.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optimizer_step.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/optimizer_step.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

using FloatVector = hn::Vec<Floats>;

/// The gradient as the steps use it: scaled, with weight decay.
HWY_INLINE FloatVector full_gradient(const float* gradient, FloatVector scale, FloatVector weight_decay, FloatVector parameters) {
    return hn::MulAdd(weight_decay, parameters, hn::Mul(scale, hn::LoadU(Floats(), gradient)));
}

void plain_sgd(std::size_t n, const SgdStep& step, float gradient_scale, float* parameters, const float* gradient) {
    const Floats d;
    const auto lr = hn::Set(d, step.lr);
    const auto scale = hn::Set(d, gradient_scale);
    const auto weight_decay = hn::Set(d, step.weight_decay);
    const auto body = [=](float* p, const float* g) HWY_ATTR {
        const auto parameter = hn::LoadU(d, p);
        hn::StoreU(hn::NegMulAdd(lr, full_gradient(g, scale, weight_decay, parameter), parameter), d, p);
    };
    in_steps<float_lanes>(n, body, parameters, gradient);
}

template <bool nesterov>
HWY_INLINE void momentum_sgd(std::size_t n, const SgdStep& step, float gradient_scale, float* parameters, const float* gradient,
                             float* velocity) {
    const Floats d;
    const auto lr = hn::Set(d, step.lr);
    const auto momentum = hn::Set(d, step.momentum);
    const auto scale = hn::Set(d, gradient_scale);
    const auto weight_decay = hn::Set(d, step.weight_decay);
    const auto body = [=](float* p, const float* g, float* v) HWY_ATTR {
        const auto parameter = hn::LoadU(d, p);
        const auto slope = full_gradient(g, scale, weight_decay, parameter);
        const auto speed = hn::MulAdd(momentum, hn::LoadU(d, v), slope);
        const auto direction = nesterov ? hn::MulAdd(momentum, speed, slope) : speed;
        hn::StoreU(speed, d, v);
        hn::StoreU(hn::NegMulAdd(lr, direction, parameter), d, p);
    };
    in_steps<float_lanes>(n, body, parameters, gradient, velocity);
}

void sgd_range(std::size_t n, const SgdStep& step, float gradient_scale, float* parameters, const float* gradient, float* velocity) {
    if (step.momentum == 0.0F) return plain_sgd(n, step, gradient_scale, parameters, gradient);
    if (step.nesterov) return momentum_sgd<true>(n, step, gradient_scale, parameters, gradient, velocity);
    momentum_sgd<false>(n, step, gradient_scale, parameters, gradient, velocity);
}

void adam_range(std::size_t n, const AdamStep& step, float gradient_scale, float* parameters, const float* gradient, float* m, float* v) {
    const Floats d;
    const double correction1 = 1.0 - std::pow(static_cast<double>(step.beta1), static_cast<double>(step.step));
    const double correction2 = 1.0 - std::pow(static_cast<double>(step.beta2), static_cast<double>(step.step));
    const auto rate = hn::Set(d, static_cast<float>(static_cast<double>(step.lr) / correction1));
    const auto spread = hn::Set(d, static_cast<float>(1.0 / std::sqrt(correction2)));
    const auto epsilon = hn::Set(d, step.epsilon);
    const auto scale = hn::Set(d, gradient_scale);
    const auto weight_decay = hn::Set(d, step.weight_decay);
    const auto keep1 = hn::Set(d, step.beta1);
    const auto keep2 = hn::Set(d, step.beta2);
    const auto take1 = hn::Set(d, 1.0F - step.beta1);
    const auto take2 = hn::Set(d, 1.0F - step.beta2);
    const auto body = [=](float* p, const float* g, float* mean, float* square) HWY_ATTR {
        const auto parameter = hn::LoadU(d, p);
        const auto slope = full_gradient(g, scale, weight_decay, parameter);
        const auto m_new = hn::MulAdd(take1, slope, hn::Mul(keep1, hn::LoadU(d, mean)));
        const auto v_new = hn::MulAdd(hn::Mul(take2, slope), slope, hn::Mul(keep2, hn::LoadU(d, square)));
        const auto divisor = hn::MulAdd(hn::Sqrt(v_new), spread, epsilon);
        hn::StoreU(m_new, d, mean);
        hn::StoreU(v_new, d, square);
        hn::StoreU(hn::NegMulAdd(rate, hn::Div(m_new, divisor), parameter), d, p);
    };
    in_steps<float_lanes>(n, body, parameters, gradient, m, v);
}

double squares_of_block(std::size_t n, const float* x) {
    const Doubles d;
    auto a = hn::Zero(d);
    auto b = a;
    auto c = a;
    auto e = a;
    const auto body = [&](const float* value) HWY_ATTR {
        const auto square = [=](std::size_t k, auto sum) HWY_ATTR {
            const auto v = load_doubles(value + k * double_lanes);
            return hn::MulAdd(v, v, sum);
        };
        a = square(0, a);
        b = square(1, b);
        c = square(2, c);
        e = square(3, e);
    };
    in_steps<4 * double_lanes>(n, body, x);
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e))));
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(sgd_range);
HWY_EXPORT(adam_range);
HWY_EXPORT(squares_of_block);

}  // namespace

void sgd_step(std::size_t n, const SgdStep& step, const float* gradient_scale, float* parameters, const float* gradient, float* velocity,
              const Threads& threads) {
    const float scale = gradient_scale == nullptr ? 1.0F : *gradient_scale;
    const auto range = HWY_DYNAMIC_DISPATCH(sgd_range);
    in_parallel(n, elementwise_grain, threads, [&](std::size_t begin, std::size_t end) {
        range(end - begin, step, scale, parameters + begin, gradient + begin, velocity == nullptr ? nullptr : velocity + begin);
    });
}

void adam_step(std::size_t n, const AdamStep& step, const float* gradient_scale, float* parameters, const float* gradient, float* m,
               float* v, const Threads& threads) {
    const float scale = gradient_scale == nullptr ? 1.0F : *gradient_scale;
    const auto range = HWY_DYNAMIC_DISPATCH(adam_range);
    in_parallel(n, elementwise_grain, threads, [&](std::size_t begin, std::size_t end) {
        range(end - begin, step, scale, parameters + begin, gradient + begin, m + begin, v + begin);
    });
}

double SgdReference::step(const SgdStep& settings, double lr, double parameter, double gradient) {
    const double momentum = static_cast<double>(settings.momentum);
    const double g = gradient + static_cast<double>(settings.weight_decay) * parameter;
    if (momentum == 0) return parameter - lr * g;
    velocity = momentum * velocity + g;
    return parameter - lr * (settings.nesterov ? g + momentum * velocity : velocity);
}

double AdamReference::step(const AdamStep& settings, double lr, double parameter, double gradient) {
    const double beta1 = static_cast<double>(settings.beta1);
    const double beta2 = static_cast<double>(settings.beta2);
    const double t = static_cast<double>(settings.step);
    const double g = gradient + static_cast<double>(settings.weight_decay) * parameter;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double m_hat = m / (1 - std::pow(beta1, t));
    const double v_hat = v / (1 - std::pow(beta2, t));
    return parameter - lr * m_hat / (std::sqrt(v_hat) + static_cast<double>(settings.epsilon));
}

void sum_of_squares(std::size_t n, const float* x, double* result, const Threads& threads) {
    constexpr std::size_t block = 4096;
    const auto squares = HWY_DYNAMIC_DISPATCH(squares_of_block);
    const auto of_block = [=](std::size_t b) { return squares(std::min(block, n - b * block), x + b * block); };
    const std::size_t blocks = (n + block - 1) / block;
    double sum = 0;
    if (threads.count() == 1) {
        for (std::size_t b = 0; b < blocks; ++b) sum += of_block(b);
        *result = sum;
        return;
    }
    std::vector<double> sums(blocks);
    in_parallel(blocks, elementwise_grain / block, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t b = begin; b < end; ++b) sums[b] = of_block(b);
    });
    for (const double part : sums) sum += part;
    *result = sum;
}

void clip_scale(const double* sum_of_squares, double largest_norm, float* scale, const Threads& /*threads*/) {
    const double norm = std::sqrt(*sum_of_squares);
    *scale = norm > largest_norm ? static_cast<float>(largest_norm / norm) : 1.0F;
}

}  // namespace silosum::kernels
#endif
