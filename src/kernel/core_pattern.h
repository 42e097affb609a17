#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// The ways in which the kernel hands a core over (core(5), fs/coredump.c).
enum class Transport {
  kFile,           ///< a path with % specifiers
  kPipe,           ///< "|program arguments"
  kSocket,         ///< "@/path": connects and sends, Linux 6.16
  kSocketRequest,  ///< "@@/path": connects and asks first, Linux 6.17
};

/// "file", "pipe", "socket", "socket-request".
[[nodiscard]] std::string_view NameOf(Transport transport);
[[nodiscard]] std::optional<Transport> TransportNamed(std::string_view name);

/// How the kernel will read this core pattern (only its first characters decide).
[[nodiscard]] Transport TransportOf(std::string_view pattern);

/// The longest core pattern, bytes: CORENAME_MAX_SIZE (128) with its NUL.
inline constexpr std::size_t kCorePatternMax = 127;

/// "@@/path" or "@/path", if the kernel will dump to it: an absolute path of at most 107 bytes, without "..",
/// and without spaces (the kernel takes those when the pattern is written and then fails each dump).
[[nodiscard]] Result<std::string> SocketCorePattern(Transport transport, std::string_view path);

/// The path behind "@" or "@@"; the program behind "|"; nothing for a file.
[[nodiscard]] std::optional<std::string> TargetOf(std::string_view pattern);

/// Where somebody must listen for a core pattern of obit's.
struct Endpoint {
  std::string path;
  int type = 0;  ///< SOCK_STREAM for the kernel, SOCK_SEQPACKET for obit-pipe
};
/// Nothing if the pattern names no socket.
[[nodiscard]] std::optional<Endpoint> EndpointOf(std::string_view pattern);

/// The pattern in force, without its newline.
[[nodiscard]] Result<std::string> ReadCorePattern();
/// Sets it, and reads it back: EINVAL if the kernel kept another. An accepted pattern proves nothing; only a
/// crash does.
[[nodiscard]] Result<void> WriteCorePattern(std::string_view pattern);

/// kernel.core_pipe_limit: helpers at once; 0 is no limit and nobody waits for them.
[[nodiscard]] Result<unsigned> ReadCorePipeLimit();
[[nodiscard]] Result<void> WriteCorePipeLimit(unsigned limit);

/// Holds the machine-wide lock on core_pattern: whoever changes it takes this first. Released with the Fd.
/// Waits while another holds it, at most `seconds`; then EBUSY. A caller that holds it over several commands,
/// by flock(1) on /run/lock/obit-core-pattern, leaves that descriptor open for them: it is taken as theirs.
[[nodiscard]] Result<Fd> LockCorePattern(int seconds);

}  // namespace obit
