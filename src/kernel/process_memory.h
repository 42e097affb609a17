#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// The memory of another process, open. /proc checks rights when these are opened, so they work in a process
/// that has none.
struct ProcessMemory {
  Fd mem, pagemap, maps, smaps;  ///< /proc/TID/NAME, read-only
};
/// `dir` is /proc/TID of one of its threads. The caller holds a pidfd and checks it after the call. EACCES,
/// EPERM: no right (CAP_SYS_PTRACE, and CAP_DAC_READ_SEARCH for another user). ESRCH: that thread has exited.
[[nodiscard]] Result<ProcessMemory> OpenProcessMemory(const Fd& dir);

/// Fills `out` from `address`, with zeros for pages that the kernel refuses to read (guard pages, device
/// memory, the end of a file): returns how many bytes those are. ESRCH: the memory is gone, its process has
/// exited.
[[nodiscard]] Result<std::size_t> ReadProcessMemory(const Fd& mem, std::uint64_t address,
                                                    std::span<std::byte> out);

/// True as long as the process has its memory. What was read or scanned before is then of the living process.
[[nodiscard]] bool HasMemory(const Fd& mem, std::uint64_t some_address);

/// Addresses from `begin` to `end`, whole pages.
struct MemoryRun {
  std::uint64_t begin = 0, end = 0;
  bool operator==(const MemoryRun&) const = default;
};
struct PageScan {
  std::vector<MemoryRun> runs;  ///< in order, apart from each other
  std::uint64_t end = 0;        ///< how far was looked: perhaps not all, for bounded memory
};
/// Which pages a scan is for.
enum class PageKind {
  kFilled,   ///< in memory or in swap, and not the zero page: what anonymous private memory holds
  kChanged,  ///< in memory or in swap, and no page of the file behind it: what was written to a private
             ///< mapping
  kPresent,  ///< in memory: reading them waits for no file and for no other process
};
/// The pages of that kind from `begin` to `end`, by PAGEMAP_SCAN (Linux 6.7) or, where the kernel lacks it,
/// by the entries of pagemap (which do not tell zero pages). Works in a process without rights.
[[nodiscard]] Result<PageScan> ScanPages(const Fd& pagemap, PageKind kind, std::uint64_t begin,
                                         std::uint64_t end);
/// The second way.
[[nodiscard]] Result<PageScan> ScanPagemapEntries(const Fd& pagemap, PageKind kind, std::uint64_t begin,
                                                  std::uint64_t end);

[[nodiscard]] std::uint64_t PageBytes();

}  // namespace obit
