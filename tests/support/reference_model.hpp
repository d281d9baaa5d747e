// A model in plain loops and double precision, in PyTorch's (channels, height, width) order: what the real one is tested against.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <stdexcept>
#include <vector>

#include "base/random.hpp"
#include "model/layer_list.hpp"
#include "model/loss.hpp"
#include "model/task.hpp"

namespace silosum::test {

class ReferenceModel {
public:
    ReferenceModel(std::vector<LayerSpec> layers, Problem problem) : layers_(std::move(layers)), problem_(std::move(problem)) {}

    std::vector<double> class_weights;
    const Random* dropout = nullptr;  // null: inference
    std::uint64_t step = 0;

    /// Outputs of sample `number` of a batch; x is channels-last, flat in layout order.
    [[nodiscard]] std::vector<double> outputs(std::span<const double> flat, const float* x, std::size_t number) const {
        Values values = input(x);
        std::size_t at = 0;
        std::uint64_t dropouts_before = 0;
        std::uint64_t dropouts = 0;
        for (const auto& layer : layers_) dropouts += layer.kind == "dropout" ? 1 : 0;
        for (const auto& layer : layers_) {
            if (layer.kind == "dropout" && dropout != nullptr) {
                drop(values, layer.value("rate"), ((step * dropouts + dropouts_before++) << 34) + number * values.v.size());
            } else {
                values = apply(layer, values, flat, at);
            }
        }
        return values.v;
    }

    /// Weighted mean loss of a batch.
    [[nodiscard]] double loss(std::span<const double> flat, const Batch& batch) const {
        double sum = 0;
        double weights = 0;
        for (std::size_t i = 0; i < batch.samples; ++i) {
            const auto y = outputs(flat, batch.x + i * problem_.features(), i);
            const double weight = class_weights.empty() ? 1 : class_weights[static_cast<std::size_t>(batch.labels[i])];
            sum += weight * loss_of(y, batch, i);
            weights += weight;
        }
        return sum / weights;
    }

private:
    struct Values {
        std::size_t channels = 0, height = 1, width = 1;
        std::vector<double> v;
        [[nodiscard]] double at(std::size_t c, std::ptrdiff_t row, std::ptrdiff_t column, double outside) const {
            if (row < 0 || column < 0 || row >= static_cast<std::ptrdiff_t>(height) || column >= static_cast<std::ptrdiff_t>(width))
                return outside;
            return v[(c * height + static_cast<std::size_t>(row)) * width + static_cast<std::size_t>(column)];
        }
    };

    [[nodiscard]] Values input(const float* x) const {
        const auto& shape = problem_.feature_shape;
        Values values;
        if (shape.size() == 1) values.channels = shape[0];
        if (shape.size() == 2) values = {1, shape[0], shape[1], {}};
        if (shape.size() == 3) values = {shape[0], shape[1], shape[2], {}};
        const std::size_t pixels = values.height * values.width;
        for (std::size_t c = 0; c < values.channels; ++c) {
            for (std::size_t pixel = 0; pixel < pixels; ++pixel) values.v.push_back(static_cast<double>(x[pixel * values.channels + c]));
        }
        return values;
    }

    [[nodiscard]] double loss_of(const std::vector<double>& y, const Batch& batch, std::size_t i) const {
        if (problem_.task == Task::classification) {
            double sum = 0;
            for (const double value : y) sum += std::exp(value);
            return std::log(sum) - y[static_cast<std::size_t>(batch.labels[i])];
        }
        if (problem_.task == Task::binary) return std::log1p(std::exp(batch.labels[i] == 1 ? -y[0] : y[0]));
        const double error = y[0] - static_cast<double>(batch.targets[i]);
        return error * error;
    }

    // The mask counts places in memory order, which is channels-last.
    void drop(Values& values, double rate, std::uint64_t first) const {
        const std::size_t pixels = values.height * values.width;
        for (std::size_t c = 0; c < values.channels; ++c) {
            for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
                const bool is_kept = dropout->word(first + pixel * values.channels + c) >= rate * 0x1.0p32;
                values.v[c * pixels + pixel] *= is_kept ? 1 / (1 - rate) : 0;
            }
        }
    }

    [[nodiscard]] Values apply(const LayerSpec& layer, const Values& in, std::span<const double> flat, std::size_t& at) const {
        if (layer.kind == "dense") return dense(layer, in, flat, at);
        if (layer.kind == "conv") return conv(layer, in, flat, at);
        if (layer.kind == "maxpool" || layer.kind == "avgpool") return pool(layer, in);
        if (layer.kind == "layernorm") return norm(in, 1, flat, at, true);
        if (layer.kind == "groupnorm") return norm(in, layer.count("groups"), flat, at, false);
        if (layer.kind == "flatten") return flattened(in);
        Values out = in;
        for (double& value : out.v) value = activation(layer.kind, value);
        return out;
    }

    // Keeps the image's extents for the places of a later dropout; everything else sees (channels, height, width) in order anyway.
    static Values flattened(const Values& in) { return in; }

    static double activation(const std::string& kind, double x) {
        if (kind == "relu") return std::max(x, 0.0);
        if (kind == "tanh") return std::tanh(x);
        if (kind == "sigmoid") return 1 / (1 + std::exp(-x));
        if (kind == "gelu") return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
        if (kind == "dropout") return x;
        throw std::logic_error("no reference for layer " + kind);
    }

    [[nodiscard]] Values dense(const LayerSpec& layer, const Values& in, std::span<const double> flat, std::size_t& at) const {
        const std::size_t units = layer.count("units") == 0 ? problem_.outputs() : layer.count("units");
        const std::size_t inputs = in.v.size();
        Values out{units, 1, 1, std::vector<double>(units)};
        for (std::size_t o = 0; o < units; ++o) {
            out.v[o] = flat[at + units * inputs + o];
            for (std::size_t k = 0; k < inputs; ++k) out.v[o] += flat[at + o * inputs + k] * in.v[k];
        }
        at += units * inputs + units;
        return out;
    }

    [[nodiscard]] static Values conv(const LayerSpec& layer, const Values& in, std::span<const double> flat, std::size_t& at) {
        const std::size_t kernel = layer.count("kernel");
        const std::size_t stride = layer.count("stride");
        const std::size_t pad = layer.count("pad");
        Values out{layer.count("channels"), (in.height + 2 * pad - kernel) / stride + 1, (in.width + 2 * pad - kernel) / stride + 1, {}};
        const std::size_t taps = in.channels * kernel * kernel;
        for (std::size_t o = 0; o < out.channels; ++o) {
            for (std::size_t row = 0; row < out.height; ++row) {
                for (std::size_t column = 0; column < out.width; ++column) {
                    double sum = flat[at + out.channels * taps + o];
                    for (std::size_t tap = 0; tap < taps; ++tap) {
                        const auto ky =
                            static_cast<std::ptrdiff_t>(row * stride + tap / kernel % kernel) - static_cast<std::ptrdiff_t>(pad);
                        const auto kx = static_cast<std::ptrdiff_t>(column * stride + tap % kernel) - static_cast<std::ptrdiff_t>(pad);
                        sum += flat[at + o * taps + tap] * in.at(tap / (kernel * kernel), ky, kx, 0);
                    }
                    out.v.push_back(sum);
                }
            }
        }
        at += out.channels * taps + out.channels;
        return out;
    }

    [[nodiscard]] static Values pool(const LayerSpec& layer, const Values& in) {
        const bool is_max = layer.kind == "maxpool";
        const std::size_t window = layer.count("window");
        const std::size_t stride = layer.count("stride") == 0 ? window : layer.count("stride");
        const std::size_t pad = layer.count("pad");
        Values out{in.channels, (in.height + 2 * pad - window) / stride + 1, (in.width + 2 * pad - window) / stride + 1, {}};
        for (std::size_t c = 0; c < out.channels; ++c) {
            for (std::size_t row = 0; row < out.height; ++row) {
                for (std::size_t column = 0; column < out.width; ++column) {
                    double largest = -1e300;
                    double sum = 0;
                    for (std::size_t k = 0; k < window * window; ++k) {
                        const auto y = static_cast<std::ptrdiff_t>(row * stride + k / window) - static_cast<std::ptrdiff_t>(pad);
                        const auto x = static_cast<std::ptrdiff_t>(column * stride + k % window) - static_cast<std::ptrdiff_t>(pad);
                        largest = std::max(largest, in.at(c, y, x, -1e300));
                        sum += in.at(c, y, x, 0);
                    }
                    out.v.push_back(is_max ? largest : sum / static_cast<double>(window * window));
                }
            }
        }
        return out;
    }

    [[nodiscard]] static Values norm(const Values& in, std::size_t groups, std::span<const double> flat, std::size_t& at,
                                     bool per_feature) {
        Values out = in;
        const std::size_t size = in.v.size() / groups;
        const std::size_t pixels = in.height * in.width;
        const std::size_t weights = per_feature ? in.v.size() : in.channels;
        for (std::size_t group = 0; group < groups; ++group) {
            double mean = 0;
            double variance = 0;
            for (std::size_t i = 0; i < size; ++i) mean += in.v[group * size + i] / static_cast<double>(size);
            for (std::size_t i = 0; i < size; ++i) variance += std::pow(in.v[group * size + i] - mean, 2) / static_cast<double>(size);
            for (std::size_t i = group * size; i < (group + 1) * size; ++i) {
                const std::size_t weight = per_feature ? i : i / pixels;
                out.v[i] = (in.v[i] - mean) / std::sqrt(variance + 1e-5) * flat[at + weight] + flat[at + weights + weight];
            }
        }
        at += 2 * weights;
        return out;
    }

    std::vector<LayerSpec> layers_;
    Problem problem_;
};

}  // namespace silosum::test
