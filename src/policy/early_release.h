#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace obit {

/// With less memory, bytes, a process is let go soon enough after it was copied.
inline constexpr std::uint64_t kKeptMin = 32 << 20;

/// Why no memory may be kept of a crash, whatever its process is like.
enum class KeepRefusal : std::uint8_t {
  kNone,
  kConfigured,  ///< capture.early_release
  kTooMany,     ///< there is kept what may be kept at once, in all or of this user
};
/// For people; empty: there is none.
[[nodiscard]] std::string Describe(KeepRefusal refusal);

/// What is known of a crashed process when its head, its plan and its minimal core are there, and all of its
/// memory is still to be read.
struct MemoryToKeep {
  std::string refused;          ///< by the configuration, or for want of seats, in words; empty: it is wanted
  std::uint64_t bytes = 0;      ///< that it has resident
  std::uint64_t mapped = 0;     ///< that it has mapped: what is private and writable of it is committed
  bool has_minimal = false;     ///< a minimal core is stored, for the case that the full one ends early
  std::string tied;             ///< what its memory would tie up without it (docs/early-release.md), in words
  std::uint64_t kept = 0;       ///< bytes of other processes that are gone, and have their memory kept
  std::uint64_t total = 0;      ///< bytes of memory that this host has; 0: not known
  std::uint64_t available = 0;  ///< of these, without swapping
  /// Until the limit of a cgroup and the commit limit. Nothing: not known; UINT64_MAX: none.
  std::optional<std::uint64_t> room_in_cgroup, room_to_commit;
};

/// Whether the process may go before its memory is read, and why. Whoever takes its place wants as much
/// memory again, while its own is still there.
struct EarlyRelease {
  bool keep = false;
  std::string reason;  ///< for people: "there is room for its 812.0 MiB twice"
};
[[nodiscard]] EarlyRelease DecideEarlyRelease(const MemoryToKeep& memory);

}  // namespace obit
