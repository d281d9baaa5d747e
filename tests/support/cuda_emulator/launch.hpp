// kernel<<<...>>>(...) for a plain C++ compiler. A launch is kept as data, as a stream runs it later and a graph runs it again.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "host_types.hpp"
#include "vector_types.hpp"
#include "where.hpp"

namespace emulator {

struct PointerArgument {
    std::size_t index;  // among the kernel's arguments
    const void* address;
};

/// A part of the block's shared memory that exists for itself: the dynamic piece; in PTX also each static variable.
struct SharedPiece {
    std::size_t offset, bytes;
    std::string name;
};

struct Launch {
    dim3 blocks, threads;
    std::size_t shared_bytes = 0;
    Where where;
    const void* kernel = nullptr;
    void (*run)(const void* call) = nullptr;  // one thread's call of the kernel
    std::shared_ptr<const void> call;
    std::size_t call_bytes = 0;
    const unsigned char* parameters = nullptr;  // inside `call`, as CUDA lays them out
    std::vector<PointerArgument> pointers;
    std::vector<SharedPiece> shared_pieces;
};

/// Checks as CUDA does (the error code is left for cudaGetLastError) and gives the launch to the stream. Throws an Error that names the
/// argument if a pointer is not one to memory of the stream's device.
void submit(Launch launch, CUstream_st* stream);

template <class... Parameters>
struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
    alignas(16) unsigned char parameters[(16 + ... + (sizeof(Parameters) + alignof(Parameters)))];
};

template <class... Parameters>
void launch(dim3 blocks, dim3 threads, std::size_t shared_bytes, CUstream_st* stream, Where where, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
    static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernel arguments are copied byte by byte");
    using ThisCall = Call<Parameters...>;
    Launch launch{blocks, threads, shared_bytes, where, reinterpret_cast<const void*>(kernel), {}, {}, sizeof(ThisCall), {}, {}, {}};
    std::size_t at = 0, index = 0;
    const auto call = std::make_shared<ThisCall>(ThisCall{kernel, {arguments...}, {}});
    [[maybe_unused]] const auto add = [&](const auto& argument) {
        using Argument = std::remove_cvref_t<decltype(argument)>;
        at = (at + alignof(Argument) - 1) / alignof(Argument) * alignof(Argument);
        std::memcpy(call->parameters + at, &argument, sizeof argument);
        at += sizeof argument;
        if constexpr (std::is_pointer_v<Argument>) launch.pointers.push_back({index, argument});
        ++index;
    };
    (add(arguments), ...);
    launch.parameters = call->parameters;
    launch.call = call;
    launch.shared_pieces = {{0, shared_bytes, "dynamic shared memory"}};
    launch.run = [](const void* data) {
        const auto& own = *static_cast<const ThisCall*>(data);
        std::apply(own.kernel, own.arguments);
    };
    submit(std::move(launch), stream);
}

/// The block's dynamic shared memory, aligned to 16 bytes and no more.
void* dynamic_shared();

}  // namespace emulator
