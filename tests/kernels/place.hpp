// Where the contract tests of kernels run: on the processor with each of its instruction sets, on an emulated GPU under several schedules,
// or on a real one. The tests are compiled once; which places there are is a matter of what they are linked with (places_*.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "device/stream.hpp"
#include "kernels/isa.hpp"

namespace silosum::kernels {

struct Place {
    std::string name;
    std::optional<Isa> isa{};    // of the processor; none: a GPU
    std::uint64_t schedule = 0;  // of an emulated GPU
};

[[nodiscard]] std::vector<Place> places();
/// Why tests cannot run there and are skipped; empty where they can.
[[nodiscard]] std::string why_not(const Place& place);
[[nodiscard]] Stream stream_at(const Place& place, const Threads& threads);

/// For messages.
inline void PrintTo(const Place& place, std::ostream* out) {
    *out << place.name;
}
inline std::string place_name(const testing::TestParamInfo<Place>& info) {
    return info.param.name;
}

/// Vectors lent to kernels: on the processor their own memory, so that the sanitizers see every access beyond them, else copies in the
/// memory of the GPU. Those lent for writing have the kernels' results after give_back().
class Loan {
public:
    explicit Loan(const Stream& stream) : stream_(stream) {}

    /// For reading; null for an empty vector.
    template <class T>
    [[nodiscard]] const T* in(const std::vector<T>& values) {
        return lend(values.data(), values.size());
    }
    /// For reading and writing.
    template <class T>
    [[nodiscard]] T* out(std::vector<T>& values) {
        const bool is_first = !lent_.contains(values.data());
        T* const lent = lend(values.data(), values.size());
        if (is_first && stream_.is_cuda() && !values.empty()) {
            returns_.push_back([this, lent, &values] { stream_.download(std::span<const T>(lent, values.size()), std::span<T>(values)); });
        }
        return lent;
    }
    void give_back() {
        for (const auto& copy : returns_) copy();
        returns_.clear();
        stream_.wait();
    }

private:
    template <class T>
    [[nodiscard]] T* lend(T* values, std::size_t size) {
        using Value = std::remove_const_t<T>;
        if (size == 0) return nullptr;
        if (!stream_.is_cuda()) return values;
        if (const auto before = lent_.find(values); before != lent_.end()) return static_cast<T*>(before->second);
        auto memory = std::make_shared<Buffer<Value>>(stream_.allocate<Value>(size));
        stream_.upload(std::span<const Value>(values, size), memory->span());
        held_.push_back(memory);
        lent_[values] = memory->data();
        return memory->data();
    }

    const Stream& stream_;
    std::vector<std::shared_ptr<void>> held_;
    std::map<const void*, void*> lent_;  // a vector lent twice is one
    std::vector<std::function<void()>> returns_;
};

/// A kernel's two overloads, for tables of kernels.
template <class... Arguments>
struct OnEither {
    void (*on_threads)(Arguments..., const Threads&);
    void (*on_gpu)(Arguments..., const CudaStream&);
    void operator()(Arguments... arguments, const Threads& threads) const { on_threads(arguments..., threads); }
    void operator()(Arguments... arguments, const CudaStream& stream) const { on_gpu(arguments..., stream); }
};

/// kernel(loan, on) on the stream, with what it wrote given back.
template <class Kernel>
void run_on(const Stream& stream, const Kernel& kernel) {
    Loan loan(stream);
    stream.run([&](const auto& on) { kernel(loan, on); });
    loan.give_back();
}

/// Runs the tests of a suite once at each place.
class EachPlace : public testing::TestWithParam<Place> {
protected:
    void SetUp() override {
        if (const std::string reason = why_not(GetParam()); !reason.empty()) GTEST_SKIP() << reason;
        stream_.emplace(stream_at(GetParam(), threads_));
    }
    void TearDown() override { use_isa(best_isa()); }

    [[nodiscard]] const Stream& stream() const { return *stream_; }
    [[nodiscard]] bool is_cuda() const { return stream_->is_cuda(); }
    template <class Kernel>
    void run(const Kernel& kernel) const {
        run_on(*stream_, kernel);
    }

    Threads threads_;

private:
    std::optional<Stream> stream_;
};

}  // namespace silosum::kernels
