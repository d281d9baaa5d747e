// Kernels that call the device's functions once each. They run as C++ and as nvcc's PTX, and the tests know the results from elsewhere.
#pragma once

#include <cstdint>
#include <vector>

std::vector<unsigned> bit_functions(unsigned a, unsigned b, unsigned c);
std::vector<unsigned long long> wide_functions(unsigned long long a, unsigned long long b);
std::vector<long long> conversions(float x, double y);
std::vector<float> float_functions(float a, float b, float c);
std::vector<double> double_functions(double a, double b, double c);

/// What each lane of a warp of `lanes` gets, one function after the other.
std::vector<unsigned> warp_functions(unsigned lanes);
std::vector<int> barrier_functions(int threads);

struct Atomics {
    int sum, largest, smallest;
    unsigned either, both, exclusive, count, last;
    unsigned long long wide_sum;
    float float_sum;
    double double_sum;
};
Atomics atomic_functions(unsigned threads);

struct Weights {
    char first;
    double values[3];
    short last;
};
/// A struct by value, a template, arrays in local and constant memory, a switch, a function that is called and not inlined.
std::vector<double> language_features(const Weights& weights, int which);

/// Loads and stores of 1 to 16 bytes.
std::vector<unsigned char> vector_accesses(const std::vector<unsigned char>& sixty_four_bytes);

/// Through shared memory and back, by asynchronous copies in two groups. Without the wait, or without the barrier, it is wrong.
enum class Leave { nothing, wait, barrier };
std::vector<int> copies_reversed(const std::vector<int>& values, Leave leave);
