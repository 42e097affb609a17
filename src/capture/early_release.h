#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "capture/direct.h"
#include "capture/first_set.h"
#include "elf/core_head.h"
#include "kernel/memory_hold.h"
#include "kernel/memory_outlook.h"
#include "kernel/process_memory.h"

namespace obit {

// The process is gone before its memory is read (docs/early-release.md).

/// On what terms the memory of a crashed process may be kept beyond its end.
struct KeepTerms {
  std::string refused;     ///< why it may not, in words for people; empty: it may
  std::uint64_t kept = 0;  ///< bytes of other processes that are kept now
  std::chrono::nanoseconds timeout{std::chrono::seconds(30)};  ///< after so long it is let go
  const Fd* userfaults = nullptr;  ///< /dev/userfaultfd, open; none, or empty: this host has none
};

/// A crashed process whose head has come, and whose plan is made.
struct ProcessToKeep {
  const CoreHead& head;
  const ProcessMemory& memory;
  const DirectCapture& direct;
  const std::optional<MemoryOutlook>& outlook;
  std::optional<std::uint64_t> resident, mapped, threads;  ///< bytes, and how many; nothing: not known
  bool has_minimal = false;                                ///< a minimal core of it is stored
};

/// Its memory, which stays when it goes.
struct KeptProcess {
  FirstSet first;          ///< what its end changes, as it was before
  MemoryHold hold;         ///< of the rest
  std::uint64_t page = 0;  ///< an address whose page has something
};
struct KeepAttempt {
  std::optional<KeptProcess> kept;
  std::string reason;  ///< why, or why not: for people
};
/// Decides whether it may go first (DecideEarlyRelease), and if it may, reads what its end changes and takes
/// hold of the rest. What takes long is asked last. Reads no page that another process would have to fill.
[[nodiscard]] KeepAttempt KeepProcess(const KeepTerms& terms, const ProcessToKeep& process);

}  // namespace obit
