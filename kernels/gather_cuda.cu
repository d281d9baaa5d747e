// Batches from rows of a data set that lies in the memory of a GPU, and parameters into and out of their packed order.
#include "kernels/elementwise_cuda.cuh"
#include "kernels/gather.hpp"

namespace silosum::kernels {
namespace {

template <class T>
struct Rows {
    std::size_t features;
    const T* x;
    const std::uint32_t* order;
    const float* scale;
    const float* offset;
    bool per_feature;
    float* batch;
    __device__ void operator()(std::size_t i) const {
        const std::size_t feature = i % features, map = per_feature ? feature : 0;
        batch[i] = __fmaf_rn(static_cast<float>(x[order[i / features] * features + feature]), scale[map], offset[map]);
    }
};

template <class T>
struct Values {
    const T* values;
    const std::uint32_t* order;
    T* chosen;
    __device__ void operator()(std::size_t i) const { chosen[i] = values[order[i]]; }
};

struct Gather {
    const std::uint32_t* places;
    const float* from;
    float* to;
    __device__ void operator()(std::size_t i) const { to[i] = places[i] == nowhere ? 0.0F : from[places[i]]; }
};

struct Scatter {
    const std::uint32_t* places;
    const float* from;
    float* to;
    __device__ void operator()(std::size_t i) const {
        if (places[i] != nowhere) to[places[i]] = from[i];
    }
};

}  // namespace

void gather_rows(std::size_t rows, std::size_t features, const std::uint8_t* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch, const CudaStream& stream) {
    for_each_index(rows * features, Rows<std::uint8_t>{features, x, order, scale, offset, per_feature, batch}, stream);
}
void gather_rows(std::size_t rows, std::size_t features, const float* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch, const CudaStream& stream) {
    for_each_index(rows * features, Rows<float>{features, x, order, scale, offset, per_feature, batch}, stream);
}

void gather_values(std::size_t rows, const std::int32_t* values, const std::uint32_t* order, std::int32_t* chosen,
                   const CudaStream& stream) {
    for_each_index(rows, Values<std::int32_t>{values, order, chosen}, stream);
}
void gather_values(std::size_t rows, const float* values, const std::uint32_t* order, float* chosen, const CudaStream& stream) {
    for_each_index(rows, Values<float>{values, order, chosen}, stream);
}

void gather_places(std::size_t n, const std::uint32_t* places, const float* from, float* to, const CudaStream& stream) {
    for_each_index(n, Gather{places, from, to}, stream);
}
void scatter_places(std::size_t n, const std::uint32_t* places, const float* from, float* to, const CudaStream& stream) {
    for_each_index(n, Scatter{places, from, to}, stream);
}

}  // namespace silosum::kernels
