#pragma once

// The messages of a coredump socket in request mode (core_pattern "@@/path").
// Source: include/uapi/linux/coredump.h and fs/coredump.c, Linux 6.17 (VER0 of both structures); and the
// series that is queued for 7.4 (VER1). Host byte order. Debian 12's headers lack them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace obit {

/// What a server can ask for; a kernel offers a set of these (enum coredump_mask... COREDUMP_KERNEL
/// etc., 6.17).
enum CoredumpMask : std::uint64_t {
  kCoredumpKernel = 1,          ///< the kernel writes the core to the socket
  kCoredumpUserspace = 2,       ///< the server makes the core itself: nothing is sent
  kCoredumpReject = 4,          ///< no core at all; the parent does not see WCOREDUMP
  kCoredumpWait = 8,            ///< the process is held until the server closes the socket
  kCoredumpRecords = 0x10,      ///< 7.4: the core comes in records; only with Kernel
  kCoredumpSparse = 0x20,       ///< 7.4: holes are not sent; only with Records
  kCoredumpMemoryTypes = 0x40,  ///< 7.4: the kernel dumps what `memory_types` says; only with Kernel
};

/// Memory that a core can have: the bits of /proc/PID/coredump_filter (core(5)), and those of memory types
/// (enum COREDUMP_MEMORY_ANON_PRIVATE etc., 7.4).
enum CoredumpMemory : std::uint64_t {
  kCoredumpAnonPrivate = 1,  ///< private memory that was written to, of files too
  kCoredumpAnonShared = 2,
  kCoredumpFilePrivate = 4,
  kCoredumpFileShared = 8,
  kCoredumpElfHeaders = 0x10,  ///< of private mappings of files the page that begins an ELF file
  kCoredumpHugetlbPrivate = 0x20,
  kCoredumpHugetlbShared = 0x40,
  kCoredumpDaxPrivate = 0x80,
  kCoredumpDaxShared = 0x100,
};

/// The kernel's offer: the first message on the connection. Newer kernels append fields.
struct CoredumpRequest {
  std::uint32_t size;      ///< bytes in this message, this field included; 16 to 4095
  std::uint32_t size_ack;  ///< longest acknowledgement this kernel takes, bytes; >= 16
  std::uint64_t mask;      ///< CoredumpMask bits on offer: acknowledge only bits set here
  // VER1. 0 where the request ends before.
  std::uint64_t memory_types = 0;       ///< CoredumpMemory that the process selected (coredump_filter)
  std::uint64_t memory_types_mask = 0;  ///< all CoredumpMemory that this kernel knows
};
static_assert(sizeof(CoredumpRequest) == 32 && offsetof(CoredumpRequest, mask) == 8 &&
              offsetof(CoredumpRequest, memory_types_mask) == 24);
static_assert(std::has_unique_object_representations_v<CoredumpRequest>, "no padding on the wire");
inline constexpr std::size_t kCoredumpRequestMin = 16;  ///< bytes of a request of VER0

/// The server's answer, `size` bytes of it. It must arrive in one piece: the kernel peeks at the first 4
/// bytes and gives up on fewer.
struct CoredumpAck {
  std::uint32_t size;              ///< bytes in this message: 16, or 24 with MemoryTypes
  std::uint32_t spare;             ///< 0
  std::uint64_t mask;              ///< exactly one of Kernel, Userspace, Reject; others beside it
  std::uint64_t memory_types = 0;  ///< VER1: CoredumpMemory to dump; 0 without MemoryTypes
};
static_assert(sizeof(CoredumpAck) == 24 && offsetof(CoredumpAck, mask) == 8 &&
              offsetof(CoredumpAck, memory_types) == 16);
static_assert(std::has_unique_object_representations_v<CoredumpAck>, "no padding on the wire");
inline constexpr std::size_t kCoredumpAckMin = 16;  ///< bytes of an answer of VER0

/// The kernel's verdict on the answer: 4 bytes (the uapi comment "a single byte" is wrong), then core data or
/// end of file.
enum class CoredumpMark : std::uint32_t {
  kAccepted = 0,     ///< COREDUMP_MARK_REQACK
  kMinSize = 1,      ///< the answer says it is shorter than 16 bytes, or than what it asks for needs
  kMaxSize = 2,      ///< longer than size_ack
  kUnsupported = 3,  ///< a bit that was not offered, or spare != 0, or memory types without MemoryTypes
  kConflicting = 4,  ///< not exactly one of Kernel, Userspace, Reject, or one that does not go with it
};

/// "accepted", "size too small", ...; "unknown mark" for a value that this version does not know.
[[nodiscard]] std::string_view Describe(CoredumpMark mark);

inline constexpr std::size_t kCoredumpRequestMax = 4096;  ///< requests are shorter than this (one page)

/// Decodes a whole request. `wire` is untrusted and `size` bytes long; of bytes past the 16th those of VER1
/// are taken if all of them are there, and others ignored. EBADMSG: short, or `size` / `size_ack` outside the
/// ranges above.
[[nodiscard]] Result<CoredumpRequest> DecodeCoredumpRequest(std::span<const std::byte> wire);

/// How long the request is that begins with these 4 bytes. EBADMSG: outside 16..4095.
[[nodiscard]] Result<std::size_t> CoredumpRequestSize(std::span<const std::byte, 4> first);

/// True if a connection that begins with these bytes carries a core without a handshake (core_pattern
/// "@/path").
[[nodiscard]] bool BeginsElf(std::span<const std::byte, 4> first);

}  // namespace obit
