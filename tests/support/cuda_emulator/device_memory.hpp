// Device memory: an arena that the host cannot touch except while a kernel or a copy runs.
#pragma once

#include <cstddef>
#include <string>

#include "memory_range.hpp"

namespace emulator {

/// Addresses of all devices.
MemoryRange device_arena();

/// Null if the device has no room. Filled with 0xff. With `later`, it becomes usable only with begin_allocation.
void* allocate(int device, std::size_t bytes, bool later = false);
void begin_allocation(void* address);
/// The allocation takes no more work, but its memory stays until release. False if there is no such allocation.
bool retire(void* address);
void release(void* address);

/// True if the bytes lie in one allocation that takes work.
bool is_device_memory(const void* address, std::size_t bytes);
/// True if work that runs now may use the address: its allocation has begun, and it was not released. It may be retired.
bool is_usable(const void* address);
/// The device of an allocation that takes work; -1 for other addresses.
int device_of(const void* address);
std::size_t allocated_bytes(int device);

/// "byte 400 of a device buffer of 400 bytes", for messages.
std::string describe_device_address(const void* address);

/// While one lives, device memory can be touched.
class DeviceAccess {
public:
    DeviceAccess();
    ~DeviceAccess();
    DeviceAccess(const DeviceAccess&) = delete;
    DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace emulator
