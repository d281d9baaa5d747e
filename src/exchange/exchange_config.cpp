#include "exchange/exchange_config.hpp"

#include <fmt/format.h>

#include "privacy/fixed_point.hpp"

namespace silosum {

void ExchangeConfig::add_to(Options& options) {
    options
        .add("exchange.ring_bits", &ring_bits, 32, between(32, 64),
             "Bits of a word of the sum, 32 or 64. 64 is finer than float32 for any number of silos and doubles the traffic.")
        .check([this] { return ring_bits == 32 || ring_bits == 64 ? "" : "must be 32 or 64"; });
    options
        .add("exchange.range", &range, "from_previous",
             "Coordinates of an update are limited to +-C. C is worked out from the last mean update (from_previous), is the largest "
             "coordinate of all updates of the round (agreed: never clips, a rank with several silos keeps a copy of each update), or is "
             "exchange.range_value (fixed).")
        .one_of({"from_previous", "agreed", "fixed"});
    options
        .add("exchange.range_value", &range_value, 4.0, between(smallest_range, largest_range),
             "C, a power of two: of every round (exchange.range = fixed) or of the first (from_previous).")
        .used_when([this] { return range != "agreed"; }, [] { return "exchange.range = agreed"; })
        .check([this] {
            if (is_power_of_two(range_value)) return std::string();
            return fmt::format("must be a power of two, such as {}", power_of_two_from(range_value));
        });
    options.add("exchange.weights", &weights, "samples", "Silos count by their training samples, or all alike (uniform).")
        .one_of({"samples", "uniform"});
    options
        .add("exchange.max_weight", &max_weight, 0, between(0, 0x1p52),
             "The most training samples a silo may have; 0: those of the largest shard. Rounded up to a power of two, and best not much "
             "larger than needed: every doubling costs a bit of precision.")
        .used_when([this] { return !is_uniform(); }, [] { return "exchange.weights = uniform"; });
    options
        .add("exchange.transport", &transport, "auto",
             "How words and the new model travel. shared: ranks of a machine share memory (words as they are sent, and one copy of the "
             "global model), other ranks get messages; messages: all by messages; auto: shared where the machines have room for it. The "
             "model does not depend on it.")
        .one_of({"auto", "shared", "messages"});
    options.add(
        "exchange.chunk_kib", &chunk_kib, 2048, between(1, 1 << 20),
        "KiB that a rank sends to all others in one step of the sum. Buffers take four times that; the model does not depend on it.");
    options.add("exchange.deadline_s", &deadline_s, 3600.0, above(0), "Seconds a rank waits for others before it gives up.");
}

}  // namespace silosum
