// Tests of models on the processor.
#include "support/test_stream.hpp"

namespace silosum::test {

const Stream& stream() {
    static const Threads threads(1);
    static const Stream processor(threads);
    return processor;
}

}  // namespace silosum::test
