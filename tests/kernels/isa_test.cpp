#include "kernels/isa.hpp"

#include <algorithm>

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace silosum::kernels {
namespace {

constexpr Isa all[] = {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512};

TEST(Isa, NamesRoundTrip) {
    for (const Isa isa : all) EXPECT_EQ(isa_from_name(to_string(isa)), isa);
}

TEST(Isa, AnUnknownNameListsTheKnownOnes) {
    try {
        (void)isa_from_name("avx1024");
        FAIL() << "accepted";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("avx1024"));
        EXPECT_THAT(error.what(), testing::HasSubstr("portable, neon, avx2, avx512"));
    }
}

TEST(Isa, TheBestIsTheFirstUsableAndInUseFromTheStart) {
    const std::vector<Isa> usable = usable_isas();
    ASSERT_FALSE(usable.empty());
    EXPECT_EQ(usable.front(), best_isa());
    EXPECT_EQ(isa_in_use(), best_isa());
    EXPECT_TRUE(std::is_sorted(usable.rbegin(), usable.rend()));
    EXPECT_EQ(std::adjacent_find(usable.begin(), usable.end()), usable.end());
}

TEST(Isa, UseSwitchesUpAndDown) {
    std::vector<Isa> order = usable_isas();
    order.insert(order.end(), order.rbegin(), order.rend());
    for (const Isa isa : order) {
        use_isa(isa);
        EXPECT_EQ(isa_in_use(), isa);
    }
    use_isa(best_isa());
}

TEST(Isa, AnUnusableOneIsRefusedAndChangesNothing) {
    const std::vector<Isa> usable = usable_isas();
    for (const Isa isa : all) {
        if (std::find(usable.begin(), usable.end(), isa) != usable.end()) continue;
        EXPECT_THROW(use_isa(isa), UsageError) << to_string(isa);
        EXPECT_EQ(isa_in_use(), best_isa());
    }
}

TEST(Isa, PortableIsUsableOnX86) {
#if defined(__x86_64__) && !defined(__SSE3__)
    EXPECT_THAT(usable_isas(), testing::Contains(Isa::portable));
#else
    GTEST_SKIP() << "the compiler's flags already demand vector instructions";
#endif
}

}  // namespace
}  // namespace silosum::kernels
