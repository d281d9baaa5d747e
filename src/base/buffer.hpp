// An owning, 64-byte aligned array of plain values, zeroed when made; large ones ask for huge pages. It may also lie in memory that
// others see, which it then holds.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace silosum {

/// Bytes of a huge page as most processors have them.
inline constexpr std::size_t huge_page = std::size_t{1} << 21;

template <class T>
class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    Buffer() = default;
    explicit Buffer(std::size_t size) : size_(size) {
        if (size == 0) return;
        const std::size_t alignment = size * sizeof(T) >= huge_page ? huge_page : 64;
        const std::size_t bytes = (size * sizeof(T) + alignment - 1) / alignment * alignment;
        data_.reset(static_cast<T*>(std::aligned_alloc(alignment, bytes)));
        if (!data_) throw std::bad_alloc();
#if defined(__linux__)
        // A hint only: without huge pages everything works, slower.
        if (alignment == huge_page) (void)madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
        std::memset(static_cast<void*>(data_.get()), 0, bytes);
    }
    /// `size` values at `data`, in memory that lives as long as `owner` is held.
    Buffer(std::shared_ptr<void> owner, T* data, std::size_t size) : data_(data, Free{std::move(owner)}), size_(size) {}

    [[nodiscard]] T* data() {
        return data_.get();
    }
    [[nodiscard]] const T* data() const {
        return data_.get();
    }
    [[nodiscard]] std::size_t size() const {
        return size_;
    }
    [[nodiscard]] bool empty() const {
        return size_ == 0;
    }
    [[nodiscard]] T& operator[](std::size_t i) {
        return data_.get()[i];
    }
    [[nodiscard]] const T& operator[](std::size_t i) const {
        return data_.get()[i];
    }
    [[nodiscard]] std::span<T> span() {
        return {data_.get(), size_};
    }
    [[nodiscard]] std::span<const T> span() const {
        return {data_.get(), size_};
    }
    [[nodiscard]] T* begin() {
        return data();
    }
    [[nodiscard]] T* end() {
        return data() + size_;
    }
    [[nodiscard]] const T* begin() const {
        return data();
    }
    [[nodiscard]] const T* end() const {
        return data() + size_;
    }

private:
    struct Free {
        std::shared_ptr<void> owner{};  // none: it came from aligned_alloc
        void operator()(T* pointer) const {
            if (!owner) std::free(pointer);
        }
    };
    std::unique_ptr<T, Free> data_;
    std::size_t size_ = 0;
};

}  // namespace silosum
