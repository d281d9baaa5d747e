#include "benchmark/round_work.hpp"

#include <algorithm>
#include <cmath>

#include "comm/slices.hpp"
#include "exchange/ring_sum.hpp"
#include "privacy/shamir.hpp"

namespace silosum {

namespace {

// Bytes of the messages of docs/secure-sum.md, with the number of the silo and the length before each.
constexpr double header = 8;
constexpr double promise_bytes = 32 + header;
constexpr double keys_bytes = 313 + header;
constexpr double letter_bytes = 2 * shamir::share_bytes + 16 + header;
constexpr double entry_bytes = 65 + header;
constexpr double signature_bytes = 64 + header;
constexpr double release_bytes = 5 + shamir::share_bytes;

class Counter {
public:
    explicit Counter(const RoundShape& shape)
        : shape_(shape),
          slices_(shape.parameters, shape.ranks),
          chunks_(slices_, shape.chunk_kib * 1024, shape.word()),
          ranks_(shape.ranks_a_machine()),
          silos_(static_cast<double>(shape.silos) / shape.machines),
          members_(static_cast<double>(shape.members()) / shape.machines),
          coordinates_(static_cast<double>(shape.parameters)),
          bytes_(static_cast<double>(shape.parameters * shape.word())),
          slice_(1.0 / shape.machines) {}

    std::map<std::string, Work> all() {
        encode();
        words();
        unevenness();
        decode();
        publish();
        if (shape_.is_secure) {
            keys();
            masks();
            agree();
            meet("", 3);
        } else {
            meet("wait", 1);
        }
        return phases_;
    }

private:
    double& at(const std::string& phase, Kind kind) { return phases_[phase][static_cast<std::size_t>(kind)]; }

    // All ranks of the job meet, in as many steps as the ranks double; those of this machine are counted, which take turns where they share
    // cores. "": in no phase.
    void meet(const std::string& phase, double times) {
        const double steps = std::ceil(std::log2(shape_.ranks));
        if (!phase.empty()) at(phase, Kind::meeting) += times * ranks_ * std::max(1.0, steps);
        at("idle", Kind::pause) += times * steps * std::max(1.0, ranks_ / shape_.cores);
        at("idle", Kind::link_hop) += times * std::ceil(std::log2(shape_.machines));
    }
    // Every rank gets texts of so many bytes from all ranks together.
    void tell_all(const std::string& phase, double bytes) {
        if (shape_.ranks > 1) at(phase, Kind::message_bytes) += bytes * ranks_;
        if (shape_.machines > 1) at("idle", Kind::link_bytes) += bytes;
    }
    [[nodiscard]] bool has_several() const { return shape_.silos > static_cast<std::uint32_t>(shape_.ranks); }
    [[nodiscard]] double share_of_others() const { return static_cast<double>(shape_.ranks - 1) / shape_.ranks; }
    // Of the other ranks, those on other machines: all of them where ranks of a machine do not share memory.
    [[nodiscard]] double by_messages() const { return shape_.shares_memory ? shape_.ranks - ranks_ : shape_.ranks - 1; }

    // Vectors are gone through one after the other, round after round: caches that hold all of them spare the memory all of that, and
    // caches of half their size nothing.
    [[nodiscard]] double share_past_caches() const {
        const double updates = 4 * coordinates_ * (shape_.reads_updates() ? members_ : std::min(members_, ranks_));
        const double models = 4 * coordinates_ * (shape_.shares_memory ? 1 : ranks_);
        const double words = has_words() ? ranks_ * bytes_ : 0;
        return std::clamp(2 - 2 * shape_.cached_bytes / (updates + models + words + 8 * coordinates_ * slice_), 0.0, 1.0);
    }
    // Whether a rank has all its words in memory: those of several silos, added up, or those that go by messages.
    [[nodiscard]] bool has_words() const { return has_several() || (!shape_.shares_memory && shape_.ranks > 1); }
    // Bytes that then pass memory: updates, and the model that each is held against (by ranks that read updates in place: once), words
    // read and written for each silo, read once more where several were added up, and means written.
    void memory() {
        const double share = share_past_caches();
        if (share == 0) return;
        const double models = shape_.reads_updates() ? 1 : members_;
        const double words = has_words() ? 2 * members_ : 0;
        pass_memory("encode", share * (4 * coordinates_ * (members_ + models) + words * bytes_));
        if (has_several()) pass_memory("wire", share * ranks_ * bytes_);
        pass_memory("decode", share * 8 * coordinates_ * slice_);
    }

    void pass_memory(const std::string& phase, double bytes) {
        at(phase, Kind::memory) += bytes;
        at(phase, Kind::bus) += bytes;
    }

    // Where chunks are waited for, cores that several ranks share even out, as sums of independent times do.
    void unevenness() {
        if (shape_.ranks == 1) return;
        const double bytes = members_ * bytes_;
        if (shape_.reads_updates()) {
            at("idle", Kind::uneven_shared) += bytes;
        } else {
            at("idle", Kind::uneven) += bytes / std::sqrt(std::max(1.0, ranks_ / shape_.cores));
        }
    }

    void encode() {
        const double word = static_cast<double>(shape_.word());
        memory();
        if (shape_.reads_updates()) {
            at("encode", Kind::encode_shared) += members_ * coordinates_ * (8 + word / 2);  // words are added up before they are stored
            return;
        }
        at("encode", has_several() ? Kind::encode_more : Kind::encode) += members_ * coordinates_ * (8 + word * (has_several() ? 2 : 1));
        if (!shape_.is_secure) return;
        if (has_several()) at("encode", Kind::move) += ranks_ * bytes_;
        at("tag", Kind::tag) += members_ * 4 * coordinates_;
        if (has_several()) at("tag", Kind::look) += members_ * 4 * coordinates_;
    }

    // The pipeline: in every step two signals between any two ranks of a machine, and a message to each owner that this rank sends to.
    void words() {
        if (shape_.reads_updates()) return meet("wire", 1);
        const double steps = static_cast<double>(chunks_.steps());
        const double machines = shape_.machines;
        double messages = by_messages();  // of a rank in a step, as the next two
        double shared = shape_.ranks - 1 - messages;
        double sent = messages / shape_.ranks;  // of its words, by messages, and left in shared memory
        double left = shared / shape_.ranks;
        double parts = shape_.ranks;  // that an owner adds up
        double by_link = ranks_ * bytes_ * (shape_.ranks - ranks_) / shape_.ranks;
        if (shape_.forwards()) {
            messages = machines - 1;
            shared = ranks_ - 1;
            sent = (machines - 1) / machines / ranks_;
            left = shared / ranks_;
            parts = ranks_ + machines - 1;
            by_link = bytes_ * (machines - 1) / machines;
            at("wire", Kind::add_up) += ranks_ * (machines - 1) * bytes_ * slice_;  // for the owners on other machines
        } else if (shape_.scheme == Scheme::ring) {
            messages = share_of_others() > 0 ? 1 : 0;
            shared = 0;
            sent = share_of_others();
            left = 0;
            parts = 2 * shape_.ranks * share_of_others();
            by_link = machines > 1 ? bytes_ * share_of_others() : 0;
            if (machines > 1) at("idle", Kind::link_hop) += shape_.ranks - 1;
        }
        at("wire", Kind::message) += ranks_ * steps * (messages + 2 * shared);
        at("wire", Kind::message_bytes) += ranks_ * bytes_ * sent * (steps + 1) / steps;
        if (machines > 1) at("idle", Kind::link_bytes) += by_link;
        if (!shape_.is_secure && has_several()) at("wire", Kind::move) += ranks_ * bytes_ * left;
        at(shape_.is_secure ? "wire" : "decode", Kind::add_up) += parts * bytes_ * slice_;
        meet("wire", shape_.is_secure ? 2 : 1);
    }

    // Each machine decodes its slices: a share of the coordinates.
    void decode() { at("decode", Kind::decode) += coordinates_ * slice_; }

    void publish() {
        const double bytes = 4 * coordinates_;
        const double from_outside = shape_.machines - 1.0;
        if (!shape_.shares_memory) {
            at("publish", Kind::message) += ranks_ * (shape_.ranks - 1);
            at("publish", Kind::message_bytes) += ranks_ * bytes * share_of_others();
        }
        if (shape_.shares_memory && shape_.machines > 1) at("publish", Kind::message_bytes) += 2 * bytes * from_outside / shape_.machines;
        if (shape_.machines > 1) at("idle", Kind::link_bytes) += bytes * (shape_.shares_memory ? from_outside / shape_.machines : 1);
        meet("publish", 1);
    }

    [[nodiscard]] double all_silos() const { return shape_.silos; }
    [[nodiscard]] double neighbours() const { return shape_.plan.neighbours; }

    void keys() {
        const double holders = neighbours() + 1;
        at("keys", Kind::agreement) += silos_ * (2 + 2 * neighbours());
        at("keys", Kind::signature) += ranks_ * (all_silos() + shape_.members()) + silos_;
        at("keys", Kind::product) += silos_ * 2 * shamir::numbers * shape_.plan.threshold * holders;
        tell_all("keys",
                 all_silos() * (promise_bytes + keys_bytes + header + neighbours() * letter_bytes) + shape_.members() * entry_bytes);
        meet("keys", 9);
        meet("wait", 1);
    }

    // Streams over the members' words, and over the sum: one for each member, and one for each mask that was left by a silo that has gone.
    void masks() {
        at("mask", Kind::stream) += members_ * (1 + neighbours()) * bytes_;
        at("mask", Kind::move) += ranks_ * bytes_;
        at("unmask", Kind::stream) += (shape_.members() + orphans()) * bytes_ * slice_;
        at("unmask", Kind::move) += bytes_ * slice_;
        at("hash", Kind::hash) += (shape_.shares_memory ? 1 : ranks_) * 4 * coordinates_;
        meet("hash", shape_.shares_memory ? 2 : 0);
    }
    [[nodiscard]] double orphans() const { return shape_.leavers * neighbours() * shape_.members() / std::max(1.0, all_silos() - 1); }

    void agree() {
        const double threshold = shape_.plan.threshold;
        const std::uint32_t quorum = std::max(shape_.plan.threshold, (shape_.silos + shape_.plan.corrupt) / 2 + 1);
        at("agree", Kind::signature) += ranks_ * (quorum + shape_.members()) + members_;
        at("agree", Kind::agreement) += ranks_ * (orphans() + shape_.leavers);
        // Lagrange: two products for each other share, an inverse of some 90, and one for each number of the secret.
        at("agree", Kind::product) += ranks_ * all_silos() * threshold * (2 * threshold + 90 + shamir::numbers);
        tell_all("agree", shape_.members() * (2 * signature_bytes + release_bytes * (neighbours() + 1)));
        if (shape_.wants_tags) {
            at("agree", Kind::move) += 64 * members_ * bytes_;
            tell_all("agree", shape_.members() * 4.0 * 1024);
        }
        meet("agree", shape_.wants_tags ? 8 : 5);
    }

    const RoundShape& shape_;
    Slices slices_;
    Chunks chunks_;
    double ranks_;  // of a machine, as the next two
    double silos_;
    double members_;
    double coordinates_;
    double bytes_;  // of all words of a silo
    double slice_;  // of all coordinates, that a machine decodes
    std::map<std::string, Work> phases_;
};

}  // namespace

const std::vector<KindRow>& kind_list() {
    static const std::vector<KindRow> rows{
        {Kind::encode, "encode", "byte", "read two models, write words, one silo a rank", true},
        {Kind::encode_more, "encode_more", "byte", "the same for several silos a rank, whose words are added up", true},
        {Kind::encode_shared, "encode_shared", "byte", "read two models, which ranks of a machine share, make words and add them up", true},
        {Kind::move, "move", "byte", "copy words to where others read them", true},
        {Kind::add_up, "add_up", "byte", "read and add the words of all ranks", true},
        {Kind::decode, "decode", "coordinate", "make a mean of a word", true},
        {Kind::memory, "memory", "byte", "read or write in vectors that the caches do not hold", true},
        {Kind::bus, "bus", "byte", "the same on the way that all cores of a machine share", false},
        {Kind::message, "message", "message", "start and end a message, or a signal", true},
        {Kind::message_bytes, "message_bytes", "byte", "send and receive", true},
        {Kind::meeting, "meeting", "step", "of a rank towards a meeting of all, as many as the ranks double", true},
        {Kind::stream, "stream", "byte", "make a key stream and put it on words", true},
        {Kind::tag, "tag", "byte", "tag an update for the ledger", true},
        {Kind::look, "look", "byte", "see that an update is finite, and read it for its tag", true},
        {Kind::hash, "hash", "byte", "hash the model", true},
        {Kind::agreement, "agreement", "key", "agree on a key, seal and open its letters", true},
        {Kind::signature, "signature", "signature", "verify", true},
        {Kind::product, "product", "product", "multiply in the field of the shares", true},
        {Kind::pause, "pause", "step", "towards a meeting of all: stand still until other ranks are there", false},
        {Kind::uneven, "uneven", "byte", "of words of all silos: stand still while other ranks still make chunks of them", true},
        {Kind::uneven_shared, "uneven_shared", "byte", "the same where ranks add up updates where they lie", true},
        {Kind::link_bytes, "link_bytes", "byte", "from one machine to others", false},
        {Kind::link_hop, "link_hop", "hop", "a message between machines that the next one waits for", false},
    };
    return rows;
}

double RoundShape::cores_in_use() const {
    return std::min<double>(cores, std::ceil(ranks_a_machine()));
}

SecurePlan plan_of_silos(std::uint32_t silos, const SecureNeeds& needs) {
    std::vector<RosterEntry> roster(silos);
    for (std::uint32_t silo = 0; silo < silos; ++silo) roster[silo].name = std::to_string(silo);
    return plan_secure_sum(roster, needs);
}

RoundShape shape_of(const BenchmarkSetting& setting, std::uint64_t ring_bits, bool is_secure, int ranks, const MachineShape& on) {
    RoundShape shape{.parameters = setting.parameters, .ring_bits = ring_bits, .silos = setting.silos, .ranks = ranks};
    shape.machines = on.machines;
    shape.cores = on.cores;
    shape.cached_bytes = on.cached_bytes;
    shape.is_secure = is_secure;
    shape.chunk_kib = setting.chunk_kib;
    shape.shares_memory = setting.transport != "messages" && ranks > on.machines;
    if (!is_secure) return shape;
    shape.plan = plan_of_silos(setting.silos, {.graph = setting.graph, .corrupt = 0.05, .dropouts = std::max(0.05, setting.dropouts)});
    shape.leavers = static_cast<std::uint32_t>(setting.dropouts * setting.silos);
    shape.wants_tags = setting.integrity == "tags";
    return shape;
}

bool passes_memory(const RoundShape& shape) {
    const auto work = work_of(shape);
    return std::ranges::any_of(work, [](const auto& phase) { return phase.second[static_cast<std::size_t>(Kind::memory)] > 0; });
}

std::map<std::string, Work> work_of(const RoundShape& shape) {
    return Counter(shape).all();
}

bool is_of_silos(const std::string& phase, Kind kind, const RoundShape& shape) {
    switch (kind) {
        case Kind::encode:
        case Kind::encode_more:
        case Kind::tag:
        case Kind::look:
            return true;
        case Kind::memory:
            return phase == "encode" && !shape.reads_updates();
        case Kind::stream:
            return phase == "mask";
        case Kind::agreement:
        case Kind::product:
            return phase == "keys";
        default:
            return false;
    }
}

std::map<std::string, double> memory_of(const RoundShape& shape) {
    const Slices slices(shape.parameters, shape.ranks);
    const Chunks chunks(slices, shape.chunk_kib * 1024, shape.word());
    const double vector = 4.0 * static_cast<double>(shape.parameters);
    const double words = static_cast<double>(shape.parameters * shape.word());
    const double place = static_cast<double>((chunks.size() + (shape.is_secure ? check_words : 0)) * shape.word());
    const double outside = shape.shares_memory ? shape.ranks - shape.ranks_a_machine() : shape.ranks - 1;
    const double places = shape.forwards() ? 3.0 * shape.ranks + 2.0 * (shape.machines - 1) : 2 * (shape.ranks + outside);
    std::map<std::string, double> bytes;
    bytes["update"] = vector;
    bytes["global model"] = shape.shares_memory ? vector / shape.ranks_a_machine() : vector;
    bytes["mean"] = 8.0 * static_cast<double>(slices.largest());
    bytes["chunks"] = place * places;
    if (shape.silos_of_busiest() > 1) bytes["words of several silos"] = words;
    if (!shape.is_secure) return bytes;
    if (shape.wants_tags) bytes["words until they are tagged"] = words;
    const double neighbours = shape.plan.neighbours;
    // As texts, and as what was read from them.
    bytes["keys of all silos"] = 2.0 * shape.silos * (promise_bytes + keys_bytes) + 4.0 * shape.silos * neighbours;
    bytes["letters and shares of all silos"] = 2.0 * shape.silos * (neighbours + 1) * std::max(letter_bytes, release_bytes);
    return bytes;
}

}  // namespace silosum
