// Where tests of models run: on the processor, or on the emulated GPU. Which one is a matter of what they are linked with.
#pragma once

#include "device/stream.hpp"

namespace silosum::test {

[[nodiscard]] const Stream& stream();

}  // namespace silosum::test
