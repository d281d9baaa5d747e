// The device's functions give what plain C++ gives, also at the edges, where C++ must be asked in another way.
#include "tests/cuda_emulator/vocabulary.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "emulator.hpp"
#include "where.hpp"

namespace {

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;
using Words = std::vector<unsigned>;

constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
constexpr int least = std::numeric_limits<int>::min(), most = std::numeric_limits<int>::max();
constexpr long long wide_least = std::numeric_limits<long long>::min(), wide_most = std::numeric_limits<long long>::max();

unsigned reversed(unsigned x) {
    unsigned result = 0;
    for (int bit = 0; bit < 32; ++bit) result |= (x >> bit & 1) << (31 - bit);
    return result;
}
unsigned picked_bytes(unsigned a, unsigned b, unsigned selector) {
    unsigned char bytes[8];
    for (int n = 0; n < 8; ++n) bytes[n] = static_cast<unsigned char>((n < 4 ? a : b) >> n % 4 * 8);
    unsigned result = 0;
    for (int n = 3; n >= 0; --n) result = result << 8 | bytes[selector >> n * 4 & 7];
    return result;
}

TEST(Vocabulary, BitFunctions) {
    for (const unsigned a : {0u, 1u, 0x80000000u, 0xdeadbeefu, ~0u}) {
        for (const unsigned b : {0u, 0x12345678u, 0xffff0000u}) {
            for (const unsigned c : {0u, 7u, 31u, 33u, 0x3210u, 0x76ba5418u}) {
                const auto signed_a = static_cast<int>(a), signed_b = static_cast<int>(b);
                const unsigned long long pair = static_cast<unsigned long long>(b) << 32 | a;
                const Words want = {reversed(a),
                                    picked_bytes(a, b, c),
                                    static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32),
                                    static_cast<unsigned>(static_cast<long long>(signed_a) * signed_b >> 32),
                                    static_cast<unsigned>(pair << c % 32 >> 32),
                                    static_cast<unsigned>(pair >> c % 32),
                                    static_cast<unsigned>(std::popcount(a)),
                                    static_cast<unsigned>(std::countl_zero(a)),
                                    a == 0 ? 0u : static_cast<unsigned>(std::countr_zero(a)) + 1,
                                    std::min(a, b),
                                    static_cast<unsigned>(std::max(signed_a, signed_b)),
                                    a,
                                    b,
                                    a << c % 32 ^ b >> c % 32,
                                    (a & b) | (~a & c),
                                    static_cast<unsigned>(signed_a >> c % 32),
                                    a / (b | 1) + a % (b | 1),
                                    static_cast<unsigned>(signed_a / (static_cast<int>(b & 0xffff) + 1))};
                EXPECT_EQ(bit_functions(a, b, c), want) << a << " " << b << " " << c;
            }
        }
    }
}

TEST(Vocabulary, WideFunctions) {
    for (const unsigned long long a : {0ull, 5ull, 0xfedcba9876543210ull, ~0ull}) {
        for (const unsigned long long b : {0ull, 3ull, 0x8000000000000001ull, 0x123456789abcull}) {
            const auto signed_a = static_cast<long long>(a), signed_b = static_cast<long long>(b);
            const std::vector<unsigned long long> want = {static_cast<unsigned long long>(Wide{a} * b >> 64),
                                                          static_cast<unsigned long long>(SignedWide{signed_a} * signed_b >> 64),
                                                          a * b + 7,
                                                          a / (b | 1),
                                                          a % (b | 1),
                                                          static_cast<unsigned long long>(signed_a / 1000003),
                                                          static_cast<unsigned long long>(std::popcount(a)),
                                                          static_cast<unsigned long long>(std::countl_zero(a)),
                                                          a == 0 ? 0 : static_cast<unsigned long long>(std::countr_zero(a)) + 1,
                                                          a,
                                                          (a >> 13 ^ b << 7) - static_cast<unsigned>(a),
                                                          std::min(a, b)};
            EXPECT_EQ(wide_functions(a, b), want) << a << " " << b;
        }
    }
}

// rn, rz, rd, ru to int; rn to unsigned; rn to long long; of the double: rn to int, rn and rz to long long.
TEST(Vocabulary, ConversionsRoundAndSaturate) {
    using Results = std::vector<long long>;
    EXPECT_EQ(conversions(2.5f, 2.5), (Results{2, 2, 2, 3, 2, 2, 2, 2, 2}));
    EXPECT_EQ(conversions(3.5f, -3.5), (Results{4, 3, 3, 4, 4, 4, -4, -4, -3}));
    EXPECT_EQ(conversions(-0.5f, -0.75), (Results{0, 0, -1, 0, 0, 0, -1, -1, 0}));
    EXPECT_EQ(conversions(3e9f, 3e9), (Results{most, most, most, most, 3000000000, 3000000000, most, 3000000000, 3000000000}));
    EXPECT_EQ(conversions(-3e9f, -3e9), (Results{least, least, least, least, 0, -3000000000, least, -3000000000, -3000000000}));
    EXPECT_EQ(conversions(infinity, 1e300), (Results{most, most, most, most, 0xffffffff, wide_most, most, wide_most, wide_most}));
    EXPECT_EQ(conversions(-infinity, -1e300), (Results{least, least, least, least, 0, wide_least, least, wide_least, wide_least}));
    EXPECT_EQ(conversions(nan, std::nan("")), (Results{0, 0, 0, 0, 0, wide_least, least, wide_least, wide_least}));
}

template <class T>
void expect_same_bits(const std::vector<T>& got, const std::vector<T>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
        EXPECT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i])))
            << "at " << i << ": " << got[i] << ", not " << want[i];
    }
}

TEST(Vocabulary, FloatFunctions) {
    for (const auto [a, b, c] :
         {std::array{1.1f, 3.3f, -3.63f}, {-2.5f, 0.1f, 7e30f}, {1e-40f, 2.5f, 1.0f}, {nan, 1.0f, 2.0f}, {infinity, 2.0f, -1.0f}}) {
        const volatile float product = a * b;  // not contracted
        const std::vector<float> want = {std::fma(a, b, c),
                                         product + c,
                                         a - b,
                                         a / b,
                                         std::sqrt(std::fabs(a)),
                                         std::fmin(a, b),
                                         std::fmax(a, b),
                                         1099511627776.0f,
                                         4294967296.0f,
                                         std::isnan(a) ? 0.0f : std::clamp(a, 0.0f, 1.0f),
                                         std::floor(a) + std::nearbyint(b) * 4096.0f,
                                         a < b ? c : -c};
        expect_same_bits(float_functions(a, b, c), want);
    }
}

TEST(Vocabulary, DoubleFunctions) {
    for (const auto [a, b, c] : {std::array{1.1, 3.3, -3.63}, {-2.5, 0.1, 7e300}, {1e-310, 2.5, 1.0}, {std::nan(""), 1.0, 2.0}}) {
        const volatile double product = a * b;
        const std::vector<double> want = {std::fma(a, b, c),
                                          product + c,
                                          a - b,
                                          a / b,
                                          std::sqrt(std::fabs(a)),
                                          -123456789012345678.0,
                                          static_cast<float>(a),
                                          std::fmin(a, b) + std::fmax(a, c),
                                          std::floor(a) + std::nearbyint(b)};
        expect_same_bits(double_functions(a, b, c), want);
    }
}

// PTX for a device without the instruction has no results there.
bool has_reductions() {
    const char* files = std::getenv("SILOSUM_CUDA_PTX");
    return files == nullptr || std::string_view(files).find("ptx_75") == std::string_view::npos;
}

void check_warp_functions(unsigned lanes) {
    const auto value = [](unsigned lane) { return lane * lane + 1; };
    const unsigned all = lanes == 32 ? ~0u : (1u << lanes) - 1;
    unsigned sum = 0, bits = 0;
    for (unsigned lane = 0; lane < lanes; ++lane) {
        sum += value(lane);
        bits ^= value(lane);
    }
    const auto got = warp_functions(lanes);
    for (unsigned lane = 0; lane < lanes; ++lane) {
        const Words want = {value(3),
                            value(lane / 4 * 4 + (lane + 1) % 4),
                            value(lane < 2 ? lane : lane - 2),
                            value(lane % 8 == 7 ? lane : lane + 1),
                            value(lane ^ 1),
                            std::bit_cast<unsigned>(static_cast<float>(value(lane ^ 2))),
                            value(lane ^ 1),
                            0x49249249u & all,
                            1,
                            1,
                            0,
                            0x11111111u << lane % 4 & all,
                            sum,
                            value(lanes - 1),
                            bits,
                            0 - value(lanes - 1)};
        for (std::size_t n = 0; n < (has_reductions() ? want.size() : 12); ++n) {
            EXPECT_EQ(got[n * lanes + lane], want[n]) << "function " << n << ", lane " << lane;
        }
    }
}

TEST(Vocabulary, WarpFunctions) {
    for (unsigned seed = 0; seed < 4; ++seed) {
        emulator::set_seed(seed);
        check_warp_functions(32);
        check_warp_functions(8);
    }
}

TEST(Vocabulary, BarriersThatCount) {
    for (unsigned seed = 0; seed < 4; ++seed) {
        emulator::set_seed(seed);
        EXPECT_EQ(barrier_functions(45), std::vector<int>(45, 23 * 4 + 2 + 0));
    }
    EXPECT_EQ(barrier_functions(1), std::vector<int>(1, 4));
}

TEST(Vocabulary, Atomics) {
    for (unsigned seed = 0; seed < 4; ++seed) {
        emulator::set_seed(seed);
        const Atomics got = atomic_functions(96);
        EXPECT_EQ(got.sum, 95 * 96 / 2);
        EXPECT_EQ(got.largest, 95);
        EXPECT_EQ(got.smallest, -95);
        EXPECT_EQ(got.either, ~0u);
        EXPECT_EQ(got.both, 0u);
        EXPECT_EQ(got.exclusive, ~0u);
        EXPECT_EQ(got.count, 96u);
        EXPECT_LE(got.last, 96u);
        EXPECT_TRUE(seed != 0 || got.last == 96u);
        EXPECT_EQ(got.wide_sum, 96 * 0x100000000ull + 95 * 96 / 2);
        EXPECT_EQ(got.float_sum, 48.0f);
        EXPECT_EQ(got.double_sum, 24.0);
    }
}

TEST(Vocabulary, LanguageFeatures) {
    const Weights weights{3, {0.5, 1.5, 2.5}, 100};
    for (int which = 0; which < 8; ++which) {
        const double weight = weights.values[which % 3], sum = weight + 103, thousand = std::pow(10.0, which % 4);
        const double chosen[] = {5, sum * 2, -1, 1000, 3, 0.125, 77, 77};
        const std::vector<double> want = {static_cast<double>((which % 6) * (which % 6)), sum, thousand + 5 + which % 4, chosen[which],
                                          which > 2 ? which * weight : which - weight};
        EXPECT_EQ(language_features(weights, which), want) << which;
    }
}

TEST(Vocabulary, VectorAccesses) {
    std::vector<unsigned char> in(64);
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<unsigned char>(i * 37 + 11);
    std::vector<unsigned char> want = in;
    std::fill(want.begin() + 48, want.end(), static_cast<unsigned char>(0));
    want[48] = static_cast<unsigned char>(in[48] + 1);
    want[49] = static_cast<unsigned char>(static_cast<signed char>(in[49]) / 2);
    const auto c = static_cast<unsigned>(in[50] | in[51] << 8) * 3;
    const int d = static_cast<short>(in[52] | in[53] << 8) >> 3;
    want[50] = static_cast<unsigned char>(c);
    want[51] = static_cast<unsigned char>(c >> 8);
    want[52] = static_cast<unsigned char>(d);
    want[53] = static_cast<unsigned char>(d >> 8);
    EXPECT_EQ(vector_accesses(in), want);
}

std::string message_of(Leave leave) {
    try {
        std::vector<int> values(64, 1);
        return copies_reversed(values, leave) == values ? "right" : "wrong";
    } catch (const emulator::Error& error) {
        return error.what();
    }
}

TEST(AsynchronousCopies, AreThereAfterTheWaitAndTheBarrier) {
    std::vector<int> values(64), want(64);
    for (std::size_t i = 0; i < 64; ++i) values[i] = want[i / 32 * 32 + 31 - i % 32] = static_cast<int>(i);
    for (unsigned seed = 0; seed < 4; ++seed) {
        emulator::set_seed(seed);
        EXPECT_EQ(copies_reversed(values, Leave::nothing), want);
    }
}

TEST(AsynchronousCopies, WaitOrBarrierThatIsMissingIsFound) {
    if (!has_reductions()) GTEST_SKIP() << "no asynchronous copies in this PTX";
    emulator::set_seed(0);
    for (const Leave leave : {Leave::wait, Leave::barrier}) {
        EXPECT_THAT(message_of(leave), testing::HasSubstr(emulator::checks_accesses() ? "uninitialised memory is read" : "wrong"));
    }
}

}  // namespace
