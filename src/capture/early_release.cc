#include "capture/early_release.h"

#include <algorithm>
#include <cstring>
#include <span>

#include <elf.h>

#include "capture/minimal_threads.h"
#include "elf/core_notes.h"
#include "policy/early_release.h"

namespace obit {
namespace {

/// At the base of segment FS begins struct pthread of glibc; the kernel clears the word with the thread's id
/// when the thread ends (set_tid_address(2)), which is in its first KiB. That of musl is a lock of its own,
/// which is 0 but for moments.
constexpr std::uint64_t kThreadBytes = 1024;
/// What follows a list of robust mutexes, at most: the kernel goes no further (ROBUST_LIST_LIMIT of
/// include/linux/futex.h) than this in one thread, and obit than that in all.
constexpr std::size_t kMutexesOfOne = 2048, kMutexesMax = 16 * 1024;
/// Shared memory that is read before the release, bytes: while it is, the process is held.
constexpr std::uint64_t kSharedMax = 8 << 20;
/// Planned segments that are searched for a page to hold on to.
constexpr std::size_t kSearchedMax = 256;

/// struct robust_list_head of include/uapi/linux/futex.h, of a 64-bit process.
struct RobustListHead {
  std::uint64_t next = 0;
  std::int64_t futex_offset = 0;
  std::uint64_t pending = 0;
};

/// Fills a FirstSet; what is wrong with one part is said once.
class FirstReader {
 public:
  FirstReader(const ProcessMemory& memory, FirstSet& first) : memory_(memory), first_(first) {}

  void TakeThreads(const CoreNotes& notes);
  void TakeMutexes(std::span<const std::uint64_t> heads);
  void TakeShared(std::span<const MappingTies::Range> shared, std::span<const PlannedSegment> segments);
  [[nodiscard]] const std::string& unread() const { return unread_; }

 private:
  void Lacks(std::string what) {
    if (unread_.empty()) unread_ = std::move(what);
  }
  [[nodiscard]] bool IsFilled(std::uint64_t begin, std::uint64_t bytes) const;
  [[nodiscard]] bool TakeFilled(std::uint64_t begin, std::uint64_t bytes);
  template <class T>
  [[nodiscard]] std::optional<T> Read(std::uint64_t address) const;
  void TakeMutex(std::uint64_t entry, std::int64_t futex_offset);

  const ProcessMemory& memory_;
  FirstSet& first_;
  std::size_t mutexes_ = 0;
  std::string unread_;
};

/// A page that is neither in memory nor in swap reads as zeros, and zeros are what the end of a thread leaves
/// there too; or it is a file's, or somebody else's to fill, and reading it could wait for them.
bool FirstReader::IsFilled(std::uint64_t begin, std::uint64_t bytes) const {
  const std::uint64_t page = PageBytes();
  if (begin > UINT64_MAX - bytes - page) return false;
  const std::uint64_t first = begin / page * page, last = (begin + bytes + page - 1) / page * page;
  const auto scan = ScanPages(memory_.pagemap, PageKind::kFilled, first, last);
  return scan && scan->runs.size() == 1 && scan->runs[0].begin == first && scan->runs[0].end == last;
}

/// What there is of it.
bool FirstReader::TakeFilled(std::uint64_t begin, std::uint64_t bytes) {
  const std::uint64_t page = PageBytes();
  if (begin > UINT64_MAX - bytes - page) return true;  // no memory of a process
  for (std::uint64_t at = begin; at < begin + bytes;) {
    const std::uint64_t end = std::min(begin + bytes, (at / page + 1) * page);
    if (IsFilled(at, end - at) && !first_.Take(memory_.mem, at, end - at)) return false;
    at = end;
  }
  return true;
}

template <class T>
std::optional<T> FirstReader::Read(std::uint64_t address) const {
  T value;
  if (!IsFilled(address, sizeof value)) return std::nullopt;
  const auto unread = ReadProcessMemory(memory_.mem, address, std::as_writable_bytes(std::span(&value, 1)));
  return unread && *unread == 0 ? std::optional(value) : std::nullopt;
}

void FirstReader::TakeThreads(const CoreNotes& notes) {
  for (const CoreNotes::Thread& thread : notes.threads) {
    const std::uint64_t block = MinimalThreads::ControlBlockOf(notes, thread) / 64 * 64;
    if (block != 0 && !TakeFilled(block, kThreadBytes)) return Lacks("its threads cannot be read");
  }
}

/// The kernel marks each mutex that a thread dies with, and the one that it was about to take
/// (exit_robust_list() of kernel/futex/core.c).
void FirstReader::TakeMutexes(std::span<const std::uint64_t> heads) {
  for (const std::uint64_t address : heads) {
    const auto head = Read<RobustListHead>(address);
    if (!head) return Lacks("its mutexes cannot be read");
    TakeMutex(head->pending, head->futex_offset);
    std::uint64_t entry = head->next;
    for (std::size_t i = 0; i < kMutexesOfOne && (entry & ~1ULL) != address; ++i) {
      TakeMutex(entry, head->futex_offset);
      const auto next = Read<std::uint64_t>(entry & ~1ULL);
      if (!next) return Lacks("its mutexes cannot be read");
      if (!unread_.empty()) return;
      entry = *next;
    }
  }
}

/// The lowest bit says that it has priority inheritance.
void FirstReader::TakeMutex(std::uint64_t entry, std::int64_t futex_offset) {
  entry &= ~1ULL;
  if (entry == 0) return;
  if (++mutexes_ > kMutexesMax) return Lacks("it died with too many mutexes");
  if (!TakeFilled(entry + static_cast<std::uint64_t>(futex_offset), sizeof(std::uint32_t)))
    Lacks("its mutexes cannot be read");
}

void FirstReader::TakeShared(std::span<const MappingTies::Range> shared,
                             std::span<const PlannedSegment> segments) {
  std::uint64_t bytes = 0;
  for (const PlannedSegment& segment : segments) {
    const auto range = std::ranges::find_if(shared, [&](const MappingTies::Range& one) {
      return one.begin <= segment.address && segment.address < one.end;
    });
    if (segment.bytes == 0 || range == shared.end()) continue;
    if (!range->is_memory) return Lacks("it shares memory of a file system, which others may change");
    if (bytes += segment.bytes; bytes > kSharedMax)
      return Lacks("it shares more memory than can be read at once, which others may change");
    if (!first_.Take(memory_.mem, segment.address, segment.bytes))
      return Lacks("the memory that it shares cannot be read");
  }
}

/// An address whose page is there: a read of it waits for nothing.
std::optional<std::uint64_t> FindFilled(const ProcessMemory& memory,
                                        std::span<const PlannedSegment> segments) {
  std::size_t searched = 0;
  for (const PlannedSegment& segment : segments) {
    if (segment.source != SegmentSource::kPresentPages || segment.bytes == 0) continue;
    if (++searched > kSearchedMax) break;
    const std::uint64_t page = PageBytes(), end = segment.address + segment.bytes;
    const auto scan = ScanPages(memory.pagemap, PageKind::kFilled, segment.address / page * page,
                                (end + page - 1) / page * page);
    if (scan && !scan->runs.empty()) return std::max(scan->runs[0].begin, segment.address);
  }
  return std::nullopt;
}

std::string Waiting(std::span<const PlannedSegment> segments) {
  const auto waits = std::ranges::find_if(segments, [](const PlannedSegment& segment) {
    return segment.source == SegmentSource::kStream && segment.bytes > 0;
  });
  return waits == segments.end() ? ""
                                 : fmt::format("{} can only be had of the kernel",
                                               waits->name.empty() ? "a part of it" : waits->name);
}

/// Why it may not be kept at all.
std::string Refused(const KeepTerms& terms, const ProcessToKeep& process) {
  if (!terms.refused.empty()) return terms.refused;
  if (process.head.machine() != EM_X86_64 || process.head.elf_class() != ElfClass::k64)
    return "what the end of such a process changes is not known";
  if (terms.userfaults == nullptr || !*terms.userfaults)
    return "the memory of a process cannot be kept without /dev/userfaultfd";
  return "";
}

MemoryToKeep Describe(const KeepTerms& terms, const ProcessToKeep& process) {
  MemoryToKeep memory{.refused = Refused(terms, process),
                      .bytes = process.resident.value_or(0),
                      .mapped = process.mapped.value_or(UINT64_MAX),
                      .has_minimal = process.has_minimal,
                      .tied = process.direct.ties().tied,
                      .kept = terms.kept};
  if (memory.tied.empty()) memory.tied = Waiting(process.direct.segments());
  if (!process.outlook) {
    memory.tied = "what its memory is tied to could not be told in time";
    return memory;
  }
  memory.total = process.outlook->host.total;
  memory.available = process.outlook->host.available;
  memory.room_in_cgroup = process.outlook->room_in_cgroup;
  memory.room_to_commit = process.outlook->room_to_commit;
  return memory;
}

std::string ReadFirst(const ProcessToKeep& process, const CoreNotes& notes, FirstSet& first) {
  if (!process.threads || notes.threads.size() != *process.threads) return "not all of its threads are known";
  FirstReader reader(process.memory, first);
  reader.TakeThreads(notes);
  reader.TakeMutexes(process.outlook->ties.robust_lists);
  reader.TakeShared(process.direct.ties().shared, process.direct.segments());
  return reader.unread();
}

}  // namespace

KeepAttempt KeepProcess(const KeepTerms& terms, const ProcessToKeep& process) {
  const MemoryToKeep memory = Describe(terms, process);
  EarlyRelease decided = DecideEarlyRelease(memory);
  if (!decided.keep) return {{}, std::move(decided.reason)};
  const CoreNotes notes =
      ParseCoreNotes(process.head.notes(), process.head.elf_class(), process.head.machine());
  FirstSet first;
  if (std::string unread = ReadFirst(process, notes, first); !unread.empty()) return {{}, std::move(unread)};
  const auto address = FindFilled(process.memory, process.direct.segments());
  if (!address) return {{}, "no page of it was found to hold on to"};
  auto hold = MemoryHold::Take(process.memory.mem, *address, *terms.userfaults);
  if (!hold) return {{}, std::move(hold).error().what};
  return {KeptProcess{std::move(first), std::move(*hold), *address}, std::move(decided.reason)};
}

}  // namespace obit
