// As many pieces side by side as the processor's vectors have lanes, and carry-less products of whole vectors.
#include "privacy/bulk_hash.hpp"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#define NO_COMPAT_IMB_API_053  // names of old versions, which OpenSSL has too
#include <intel-ipsec-mb.h>

#include "base/error.hpp"

namespace silosum::crypto {

namespace {

void check(IMB_MGR& lanes) {
    const int error = imb_get_errno(&lanes);
    require<RuntimeError>(error == 0, "ipsec-mb says: {}; build with -DSILOSUM_IPSEC_MB=OFF to do without", imb_get_strerror(error));
}

using Manager = std::unique_ptr<IMB_MGR, void (*)(IMB_MGR*)>;
// One a thread for good: making it takes longer than a hash, as it computes known answers first, and pieces that are hashed side by side
// are kept in it.
thread_local Manager of_thread(nullptr, free_mb_mgr);

IMB_MGR& manager() {
    if (of_thread) return *of_thread;
    Manager made(alloc_mb_mgr(0), free_mb_mgr);
    require<RuntimeError>(made != nullptr, "no memory for ipsec-mb");
    init_mb_mgr_auto(made.get(), nullptr);
    check(*made);
    of_thread = std::move(made);
    return *of_thread;
}

}  // namespace

std::vector<Bytes32> sha256_of_pieces(View bytes, std::size_t size) {
    assert(size > 0 && size <= most_piece_bytes);
    IMB_MGR& lanes = manager();
    std::vector<Bytes32> hashes((bytes.size() + size - 1) / size);
    std::size_t done = 0;
    const auto count = [&done](const IMB_JOB* job) {
        if (job != nullptr && job->status == IMB_STATUS_COMPLETED) ++done;
        return job != nullptr;
    };
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        IMB_JOB* const job = IMB_GET_NEXT_JOB(&lanes);
        *job = {};
        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_SHA_256;
        job->src = bytes.data() + i * size;
        job->msg_len_to_hash_in_bytes = std::min(size, bytes.size() - i * size);
        job->auth_tag_output = hashes[i].data();
        job->auth_tag_output_len_in_bytes = hashes[i].size();
        count(IMB_SUBMIT_JOB(&lanes));
    }
    while (count(IMB_FLUSH_JOB(&lanes))) {
    }
    check(lanes);
    require<RuntimeError>(done == hashes.size(), "ipsec-mb made {} of {} hashes", done, hashes.size());
    return hashes;
}

struct Gmac::State {
    alignas(64) gcm_key_data schedule{};  // as the library's own build has them
    alignas(64) gcm_context_data context{};
    std::array<std::uint8_t, 12> nonce{};
    State() = default;
    ~State() { wipe({reinterpret_cast<std::uint8_t*>(this), sizeof *this}); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

Gmac::Gmac(const Secret<32>& key) : state_(std::make_unique<State>()) {
    std::copy_n(key.view().begin() + 16, state_->nonce.size(), state_->nonce.begin());
    IMB_AES128_GCM_PRE(&manager(), key.view().data(), &state_->schedule);
    restart();
    check(manager());
}
Gmac::~Gmac() = default;
Gmac::Gmac(Gmac&&) noexcept = default;
Gmac& Gmac::operator=(Gmac&&) noexcept = default;

void Gmac::add(std::span<const std::byte> bytes) {
    IMB_AES128_GMAC_UPDATE(&manager(), &state_->schedule, &state_->context, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                           bytes.size());
}

void Gmac::restart() {
    IMB_AES128_GMAC_INIT(&manager(), &state_->schedule, &state_->context, state_->nonce.data(), state_->nonce.size());
}

Gmac::Value Gmac::value() {
    Value value{};
    IMB_AES128_GMAC_FINALIZE(&manager(), &state_->schedule, &state_->context, value.data(), value.size());
    check(manager());
    return value;
}

}  // namespace silosum::crypto
