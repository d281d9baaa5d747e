#include "exchange/exchange_config.hpp"

#include <fmt/format.h>

#include "exchange/rehearsal.hpp"
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
        .add(
            "exchange.transport", &transport, "auto",
            "How words and the new model travel. shared: ranks of a machine share memory (words as they are sent, or updates where nothing "
            "hides them, all ranks are on one machine and each hosts one silo by itself; and one copy of the global model), and other "
            "machines get "
            "their words added up, by messages; messages: all by messages; auto: shared where the machines have room for it; nccl: "
            "words are made, summed and decoded on GPUs, of which every rank has one of its own, and the model stays there. The "
            "model does not depend on it.")
        .one_of({"auto", "shared", "messages", "nccl"});
    options.add(
        "exchange.chunk_kib", &chunk_kib, 2048, between(1, 1 << 20),
        "KiB that a rank sends to all others in one step of the sum. Buffers take four times that; the model does not depend on it.");
    options.add("exchange.deadline_s", &deadline_s, 3600.0, above(0),
                "Seconds a rank waits for others before it gives up and names those that do not answer.");
    add_secure_to(options);
}

// Keys of the secure sum are checked whether it is on or not: one configuration serves both.
void ExchangeConfig::add_secure_to(Options& options) {
    options
        .add("exchange.secure", &secure, false,
             "Sum under masks: no silo, rank or relay sees another silo's update, nor any metric, size or time of a single silo.")
        .check([this] {
            if (secure && range == "agreed")
                return "does not go with exchange.range = agreed, which tells the largest coordinate of every silo";
            if (secure && !is_uniform() && max_weight == 0)
                return "needs exchange.max_weight with exchange.weights = samples: shard sizes are not told";
            return "";
        });
    options
        .add("exchange.identities", &identities, "roster",
             "Who a silo is to the others: the key that the roster has for it, or one made at the start and thrown away at the end (for "
             "simulations and trials: nobody vouches for it, and no privacy is claimed).")
        .one_of({"roster", "throwaway"});
    options.add("exchange.roster", &roster, "", "File with the public keys of all silos; each silo uses its own copy. See silosum keygen.")
        .path()
        .check([this] {
            return secure && identities == "roster" && roster.empty() ? "is missing; exchange.identities = roster needs it" : "";
        });
    options
        .add("exchange.keys", &keys, "",
             "Folder with SILO.key of the silos that this rank hosts (of a group: the first rank); their ledgers are kept beside them.")
        .path()
        .check(
            [this] { return secure && identities == "roster" && keys.empty() ? "is missing; exchange.identities = roster needs it" : ""; });
    options
        .add("exchange.cipher", &cipher, "aes128-ctr",
             "Cipher of the masks: AES-128 in counter mode, or ChaCha20 where processors have no AES.")
        .one_of({"aes128-ctr", "chacha20"});
    options
        .add("exchange.graph", &graph, "auto",
             "Which silos mask against each other: all (complete), or each with some others (harary) that nobody chooses; auto: complete "
             "up to "
             "64 silos, beyond that harary where one holds.")
        .one_of({"auto", "complete", "harary"});
    options.add(
        "exchange.corrupt", &corrupt, 1.0 / 3, from_up_to(0, 0.5),
        "The share of trust domains (silos, unless the roster says otherwise) that stays below this may work together, and lie, and "
        "still learn nothing of the others.");
    options.add("exchange.dropouts", &dropouts, 0.05, from_up_to(0, 0.5),
                "Share of the silos that may leave a round; for exchange.graph = harary.");
    options
        .add("exchange.integrity", &integrity, "none",
             "tags: ranks and silos find out where words or sums under masks were changed on their way, and refuse the round. Takes memory "
             "for "
             "all words that a rank sends, a second pass over them, and no leaver after its entry; every rank, or group of ranks, must "
             "host a silo.")
        .one_of({"none", "tags"})
        .check([this] {
            if (integrity == "tags" && !secure) return "needs exchange.secure = true: tags are of words under masks";
            if (integrity == "tags" && transport == "nccl")
                return "does not go with exchange.transport = nccl, whose words the host never has";
            return "";
        });
    options
        .add("exchange.count_leak", &count_leak, "refuse",
             "What to do with a sum of sample counts that, with those before, would show the count of one silo: refuse it, or accept that "
             "it "
             "is known from then on.")
        .one_of({"refuse", "accept"});
    options
        .add("exchange.rehearse_leaving", &rehearse_leaving, {},
             "Silos that leave rounds on purpose, ROUND:SILO:STEP; to see what happens then. Steps: train (gives nothing), keys, shares, "
             "entry "
             "(gone: not in the sum), signature, release (gone after its last word: in the sum).")
        .check([this] { return problem_of_rehearsal(rehearse_leaving); });
}

}  // namespace silosum
