// Choice of the instruction set: a name for each of Highway's targets, and the switch for all kernels at once.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/isa.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "base/error.hpp"
#include "kernels/isa.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

std::int64_t compiled_target() {
    return HWY_TARGET;
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(compiled_target);

Isa isa_of(std::int64_t target) {
    if (target == HWY_AVX3) return Isa::avx512;
    if (target == HWY_AVX2) return Isa::avx2;
    if (target == HWY_NEON || (HWY_NEON_WITHOUT_AES != 0 && target == HWY_NEON_WITHOUT_AES)) return Isa::neon;
    return Isa::portable;
}

/// Compiled in and offered by this processor, best (lowest bit) first.
std::vector<std::int64_t> usable_targets() {
    std::vector<std::int64_t> targets;
    for (std::int64_t left = HWY_SUPPORTED_TARGETS & HWY_TARGETS; left != 0; left &= left - 1) targets.push_back(left & -left);
    // Highway's list may lack the target that the compiler's flags take for granted, which needs no check.
    if (std::find(targets.begin(), targets.end(), HWY_STATIC_TARGET) == targets.end()) targets.push_back(HWY_STATIC_TARGET);
    return targets;
}

constexpr Isa all_isas[] = {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512};

}  // namespace

Isa best_isa() {
    return isa_of(usable_targets().front());
}

std::vector<Isa> usable_isas() {
    std::vector<Isa> isas;
    for (const std::int64_t target : usable_targets()) {
        if (std::find(isas.begin(), isas.end(), isa_of(target)) == isas.end()) isas.push_back(isa_of(target));
    }
    return isas;
}

void use_isa(Isa isa) {
    for (const std::int64_t target : usable_targets()) {
        if (isa_of(target) != isa) continue;
        hwy::GetChosenTarget().Update(target);
        return;
    }
    std::string usable;
    for (const Isa other : usable_isas()) usable += (usable.empty() ? "" : ", ") + to_string(other);
    throw UsageError(
        fmt::format("instruction set {} is not usable on this processor or in this build; usable: {}", to_string(isa), usable));
}

Isa isa_in_use() {
    return isa_of(HWY_DYNAMIC_DISPATCH(compiled_target)());
}

std::string to_string(Isa isa) {
    switch (isa) {
        case Isa::portable:
            return "portable";
        case Isa::neon:
            return "neon";
        case Isa::avx2:
            return "avx2";
        case Isa::avx512:
            return "avx512";
    }
    return "portable";
}

Isa isa_from_name(const std::string& name) {
    std::string known;
    for (const Isa isa : all_isas) {
        if (name == to_string(isa)) return isa;
        known += (known.empty() ? "" : ", ") + to_string(isa);
    }
    throw UsageError(fmt::format("unknown instruction set \"{}\"; known: {}", name, known));
}

}  // namespace silosum::kernels
#endif
