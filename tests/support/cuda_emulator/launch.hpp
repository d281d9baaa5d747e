// kernel<<<...>>>(...) for a plain C++ compiler. A launch is kept as data, as a stream runs it later and a graph runs it again.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
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

template <class... Parameters>
struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
    alignas(16) unsigned char parameters[(16 + ... + (sizeof(Parameters) + alignof(Parameters)))];
};

/// Of a kernel with these parameters; copies the arguments. Without shape and place.
template <class... Parameters>
Launch launch_with(const void* kernel, void** arguments) {
    static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernel arguments are copied byte by byte");
    using ThisCall = Call<Parameters...>;
    const auto call = [&]<std::size_t... Index>(std::index_sequence<Index...>) {
        return std::make_shared<ThisCall>(ThisCall{reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(kernel)),
                                                   {*static_cast<const Parameters*>(arguments[Index])...},
                                                   {}});
    }
    (std::index_sequence_for<Parameters...>{});
    Launch launch;
    std::size_t at = 0, index = 0;
    [[maybe_unused]] const auto add = [&](const auto& argument) {
        using Argument = std::remove_cvref_t<decltype(argument)>;
        at = (at + alignof(Argument) - 1) / alignof(Argument) * alignof(Argument);
        std::memcpy(call->parameters + at, &argument, sizeof argument);
        at += sizeof argument;
        if constexpr (std::is_pointer_v<Argument>) launch.pointers.push_back({index, argument});
        ++index;
    };
    std::apply([&](const auto&... argument) { (add(argument), ...); }, call->arguments);
    launch.kernel = kernel;
    launch.call_bytes = sizeof(ThisCall);
    launch.parameters = call->parameters;
    launch.call = call;
    launch.run = [](const void* data) {
        const auto& own = *static_cast<const ThisCall*>(data);
        std::apply(own.kernel, own.arguments);
    };
    return launch;
}

/// What calls of the runtime, which take a kernel by its address, need to know of it.
struct KnownKernel {
    Launch (*launch)(const void* kernel, void** arguments);
    Where where;  // of the launch to come
};
void introduce(const void* kernel, const KnownKernel& known);

/// Before a kernel is launched, or added to a graph: what nvcc's code does at the start of a program, and the place in the source.
template <class... Parameters>
void introduce(void (*kernel)(Parameters...), Where where) {
    introduce(reinterpret_cast<const void*>(kernel), {&launch_with<Parameters...>, where});
}

/// The launch of a call of the runtime, checked as CUDA does for the current device. Throws an Error that names the argument if a pointer
/// is not one to memory of that device.
cudaError_t checked_launch(const cudaKernelNodeParams& call, Launch& launch);

/// What a stream runs.
std::function<void()> work_of(Launch launch);

/// The block's dynamic shared memory, aligned to 16 bytes and no more.
void* dynamic_shared();

}  // namespace emulator
