#include "kernel/process_memory.h"

#include <algorithm>
#include <array>

#include <sys/ioctl.h>

#include "base/io.h"
#include "kernel/ioctl_request.h"

namespace obit {
namespace {

// From include/uapi/linux/fs.h of Linux 6.7; the headers of Debian 12 do not have it.
struct PageRegion {
  std::uint64_t start, end, categories;
};
struct PagemapScanArgument {
  std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
constexpr unsigned long kPagemapScan = kScanPagemap.With<PagemapScanArgument>();
constexpr std::uint64_t kPageIsFile = 1 << 2, kPageIsPresent = 1 << 3, kPageIsSwapped = 1 << 4,
                        kPageIsZeroPage = 1 << 5;

// Bits of an entry in /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
constexpr std::uint64_t kEntryPresent = 1ULL << 63, kEntrySwapped = 1ULL << 62, kEntryOfFile = 1ULL << 61;

constexpr std::size_t kRunsMax = 1024;          // of one scan
constexpr std::size_t kEntriesMax = 16 * 1024;  // of one scan: 64 MiB of addresses

/// Adds a run, or lengthens the last one.
void Append(std::vector<MemoryRun>& runs, MemoryRun run) {
  if (!runs.empty() && runs.back().end == run.begin)
    runs.back().end = run.end;
  else
    runs.push_back(run);
}

}  // namespace

std::uint64_t PageBytes() {
  static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

Result<ProcessMemory> OpenProcessMemory(const Fd& dir) {
  ProcessMemory memory;
  memory.mem = OBIT_TRY(OpenAt(dir, "mem", O_RDONLY));
  memory.pagemap = OBIT_TRY(OpenAt(dir, "pagemap", O_RDONLY));
  memory.maps = OBIT_TRY(OpenAt(dir, "maps", O_RDONLY));
  memory.smaps = OBIT_TRY(OpenAt(dir, "smaps", O_RDONLY));
  return memory;
}

Result<std::size_t> ReadProcessMemory(const Fd& mem, std::uint64_t address, std::span<std::byte> out) {
  std::size_t unread = 0;
  while (!out.empty()) {
    std::size_t step = 0;
    const ssize_t n = ::pread(mem.get(), out.data(), out.size(), static_cast<off_t>(address));
    if (n > 0) {
      step = static_cast<std::size_t>(n);
    } else if (n == 0) {
      // mem_rw() of fs/proc/base.c: the last user of the memory is gone.
      return Refuse(ESRCH, "the process is gone");
    } else if (errno == EIO || errno == EFAULT) {
      step =
          static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), PageBytes() - address % PageBytes()));
      std::ranges::fill(out.first(step), std::byte{0});
      unread += step;
    } else if (errno != EINTR) {
      return Fail(errno, "read memory at {:#x}", address);
    }
    out = out.subspan(step);
    address += step;
  }
  return unread;
}

bool HasMemory(const Fd& mem, std::uint64_t some_address) {
  std::byte byte{};
  return ::pread(mem.get(), &byte, 1, static_cast<off_t>(some_address)) != 0;  // also if it may not be read
}

Result<PageScan> ScanPages(const Fd& pagemap, PageKind kind, std::uint64_t begin, std::uint64_t end) {
  std::array<PageRegion, kRunsMax> regions;  // the kernel fills the first ones
  PagemapScanArgument argument{};
  argument.size = sizeof argument;
  argument.start = begin;
  argument.end = end;
  argument.vec = reinterpret_cast<std::uintptr_t>(regions.data());
  // The kernel makes a buffer of its own as long, for which a few pages need not wait.
  argument.vec_len = std::clamp<std::uint64_t>((end - begin) / PageBytes(), 1, regions.size());
  if (kind == PageKind::kFilled) argument.category_inverted = argument.category_mask = kPageIsZeroPage;
  if (kind == PageKind::kChanged) argument.category_inverted = argument.category_mask = kPageIsFile;
  argument.category_anyof_mask = kPageIsPresent | (kind == PageKind::kPresent ? 0 : kPageIsSwapped);
  argument.return_mask = kPageIsPresent;
  int found = 0;
  do {
    found = ::ioctl(pagemap.get(), kPagemapScan, &argument);
  } while (found < 0 && errno == EINTR);
  if (found < 0 && errno == ENOTTY) return ScanPagemapEntries(pagemap, kind, begin, end);
  if (found < 0) return Fail(errno, "scan pages from {:#x}", begin);
  if (argument.walk_end <= begin || argument.walk_end > end) return Refuse(EIO, "PAGEMAP_SCAN stood still");
  PageScan scan{{}, argument.walk_end};
  for (const PageRegion& region : std::span(regions).first(static_cast<std::size_t>(found)))
    Append(scan.runs, {region.start, region.end});
  // Up to 6.18 at least, walk_end is of the last time that the kernel's own buffer was full: it may lie
  // before regions that were found after that (do_pagemap_scan() of fs/proc/task_mmu.c).
  if (!scan.runs.empty()) scan.end = std::max(scan.end, scan.runs.back().end);
  return scan;
}

Result<PageScan> ScanPagemapEntries(const Fd& pagemap, PageKind kind, std::uint64_t begin,
                                    std::uint64_t end) {
  const std::uint64_t page = PageBytes();
  std::vector<std::uint64_t> entries(std::min<std::uint64_t>((end - begin) / page, kEntriesMax));
  const auto bytes = std::as_writable_bytes(std::span(entries));
  if (OBIT_TRY_IN(ReadFullAt(pagemap, bytes, begin / page * sizeof(std::uint64_t)), "read pagemap") !=
      bytes.size())
    return Refuse(ESRCH, "the process is gone");
  PageScan scan{{}, begin + entries.size() * page};
  const auto is_wanted = [&](std::uint64_t entry) {
    if (kind == PageKind::kChanged && (entry & kEntryOfFile) != 0) return false;
    return (entry & (kEntryPresent | (kind == PageKind::kPresent ? 0 : kEntrySwapped))) != 0;
  };
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (is_wanted(entries[i])) Append(scan.runs, {begin + i * page, begin + (i + 1) * page});
  return scan;
}

}  // namespace obit
