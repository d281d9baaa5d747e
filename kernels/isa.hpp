// Which instruction set the kernels use. Chosen once at start, the same on all ranks; results are bitwise equal only within one.
#pragma once

#include <string>
#include <vector>

namespace silosum::kernels {

/// In ascending order of preference on one kind of processor: portable < avx2 < avx512; neon on Arm.
enum class Isa { portable, neon, avx2, avx512 };

/// The best instruction set that this processor and this build offer.
[[nodiscard]] Isa best_isa();
/// All usable ones, best first. The last is what the compiler's flags take for granted: "portable" in an ordinary build for x86,
/// "neon" on Arm, the machine's own set with -march=native.
[[nodiscard]] std::vector<Isa> usable_isas();
/// Makes every kernel of this process use the given set. Throws UsageError where it is not usable.
void use_isa(Isa isa);
/// The set in use (best_isa() until use_isa is called).
[[nodiscard]] Isa isa_in_use();

[[nodiscard]] std::string to_string(Isa isa);
/// Throws UsageError for an unknown name.
[[nodiscard]] Isa isa_from_name(const std::string& name);

}  // namespace silosum::kernels
