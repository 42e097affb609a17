#pragma once

// What obit-pipe, the usermode helper of core_pattern "|...", tells obitd: one SOCK_SEQPACKET message, which
// is answered (pipe_handover.h).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <sys/types.h>

#include "base/result.h"

namespace obit {

/// The specifiers as the kernel expanded them (core(5)). With it go one or two descriptors: the pipe that the
/// core comes through, and the pidfd of %F (Linux 6.16 and later).
struct PipeMessage {
  static constexpr std::uint32_t kVersion = 3;  ///< 3: the helper waits for an answer (pipe_handover.h)
  std::uint32_t version = kVersion;
  std::int32_t pid = 0;        ///< %P, in the initial pid namespace
  std::int32_t tid = 0;        ///< %I
  std::int32_t signal = 0;     ///< %s
  std::int32_t dump_mode = 0;  ///< %d: 1 user, 2 root
  std::uint32_t has_pidfd = 0;
  /// %u, the real uid in the initial user namespace (format_corename() of fs/coredump.c). It tells whose
  /// share of the server a crash takes where no pidfd does (before Linux 6.13), and gives nobody any right.
  std::uint32_t uid = 0;
  std::uint32_t has_uid = 0;
  std::uint64_t time = 0;        ///< %t, s since 1970
  std::uint64_t core_limit = 0;  ///< %c, bytes; UINT64_MAX is unlimited
};
static_assert(sizeof(PipeMessage) == 48 && std::has_unique_object_representations_v<PipeMessage>);

/// "|HELPER SOCKET F%F P%P ...": the core pattern that starts obit-pipe. ENAMETOOLONG: over 127 bytes, the
/// kernel's limit. EINVAL: a path that is not absolute or has a space or "%" in it.
[[nodiscard]] Result<std::string> PipeCorePattern(std::string_view helper, std::string_view socket);

/// Reads the arguments behind the socket path: "F3", "P4711", ... An unknown one is ignored, and one may be
/// missing: a pattern of an older obit has less. EINVAL only if the pid is missing.
[[nodiscard]] Result<PipeMessage> ParsePipeArguments(int count, const char* const* arguments);

/// Decodes a message that came with so many descriptors, the pipe first. `bytes` are untrusted. EBADMSG: it
/// is none of obit-pipe. EPROTO: it is of another version.
[[nodiscard]] Result<PipeMessage> DecodePipeMessage(std::span<const std::byte> bytes,
                                                    std::size_t descriptors);

}  // namespace obit
