#include "capture/minimal_beside.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/try_twice.h"
#include "capture/minimal.h"
#include "capture/stored_head.h"
#include "capture/write_record.h"
#include "elf/core_notes.h"
#include "store/prepared.h"
#include "store/store.h"

namespace obit {
namespace {

struct MinimalCore {
  StoredCore stored;
  CoreHead head;
  Result<void> synced;
};

Result<void> Take(const Fd& file, const CoreHead& head, CoreStream& stream,
                  const CoreWriter::Options& options, const ProcessMemory& memory, std::uint64_t core_max,
                  std::atomic<std::uint64_t>& progress) {
  if (!head.has_all_segments()) return Refuse(E2BIG, "it has too many mappings");  // it would not be whole
  std::vector<Mapping> maps = OBIT_TRY(ReadMappings(memory.maps));
  CoreWriter writer(file, options);
  CrashRecord::Capture of_minimal;
  OBIT_TRY(
      CaptureMinimalBehind(head, stream, writer, &memory, std::move(maps), core_max, progress, of_minimal));
  (void)OBIT_TRY(writer.Finish());
  if (auto failure = writer.failure()) return std::unexpected(*std::move(failure));
  return {};
}

/// What is in minimal.zst, if its writer came to its end, and nothing of it is missing; it is on the disk
/// then.
Result<std::optional<MinimalCore>> Look(Fd file, FrameCheck check, std::atomic<std::uint64_t>* progress) {
  const auto sizes = OBIT_TRY(SizesOfWholeCore(file));
  if (!sizes) return std::nullopt;
  auto synced = Sync(file);
  if (check == FrameCheck::kContent && OBIT_TRY(FindFrames(file, check, progress)).core.plain != sizes->plain)
    return std::nullopt;
  CoreReader reader = OBIT_TRY(CoreReader::Open(std::move(file)));
  CoreHead head = OBIT_TRY(ReadStoredHead(reader, HeadForMinimal()));
  if (!head.complete() || head.core_bytes() != reader.size()) return std::nullopt;
  if (!ParseCoreNotes(head.notes(), head.elf_class(), head.machine()).mappings) return std::nullopt;
  return MinimalCore{*sizes, std::move(head), std::move(synced)};
}

/// All memory of the minimal core is in the first bytes of the full one.
bool HasAllOf(const EndedCore& full, const CoreHead& minimal) {
  if (!full.head.complete()) return false;
  std::vector<CoreHead::Segment> segments(full.head.segments().begin(), full.head.segments().end());
  std::ranges::sort(segments, {}, &CoreHead::Segment::address);
  return std::ranges::all_of(minimal.segments(), [&](const CoreHead::Segment& piece) {
    auto after = std::ranges::upper_bound(segments, piece.address, {}, &CoreHead::Segment::address);
    if (after == segments.begin()) return false;
    const CoreHead::Segment& segment = *--after;
    const std::uint64_t inside = piece.address - segment.address;
    if (inside > segment.bytes || piece.bytes > segment.bytes - inside) return false;
    return segment.offset <= full.plain && inside + piece.bytes <= full.plain - segment.offset;
  });
}

void Describe(const MinimalCore& minimal, const EndedCore& full, CrashRecord& record) {
  CrashRecord::Capture& capture = record.capture;
  capture.method = CaptureMethod::kDirect;
  capture.outcome = CrashOutcome::kMinimal;
  capture.core_bytes = minimal.stored.plain;
  capture.stored_bytes = minimal.stored.stored;
  capture.omitted_bytes = minimal.stored.omitted;
  capture.promised_bytes = minimal.head.core_bytes();
  capture.full_bytes = full.head.core_bytes();
  // These were of the full core.
  capture.synced = true;
  capture.stream_reason.clear();
  capture.unread.clear();
  capture.unread_bytes = 0;
  capture.verified.reset();
  capture.verify_reason.clear();
  record.files.core = kCoreFile;
}

Result<void> PutInPlace(const Fd& dir) {
  return TryTwice([&]() -> Result<void> {
    if (::renameat(dir.get(), kMinimalFile, dir.get(), kCoreFile) == 0) return {};
    return Fail(errno, "rename {}", kMinimalFile);
  });
}

/// core.zst is worth less than a whole minimal core, of which, not `same_boot`, any page may be lost.
Result<bool> IsWorthLess(const Fd& dir, bool same_boot) {
  const auto whole = TryTwice([&]() -> Result<std::optional<bool>> {
    const Fd core = OBIT_TRY(OpenInside(dir, kCoreFile, O_RDONLY | O_NONBLOCK));
    struct stat status{};
    if (::fstat(core.get(), &status) < 0) return Fail(errno, "look at {}", kCoreFile);
    if (status.st_size == 0) return std::nullopt;  // nothing
    return OBIT_TRY(IsWholeCore(core));
  });
  if (!whole && IsShortage(whole.error())) return std::unexpected(whole.error());
  // The end may be there of what the disk does not give: then it is kept, as far as it can be read.
  if (!whole) return IsAbsence(whole.error());
  if (!*whole) return true;
  return same_boot && !**whole;
}

}  // namespace

void TakeMinimalBeside(const Fd& file, const CoreHead& head, CoreStream& stream,
                       const CoreWriter::Options& options, const ProcessMemory& memory,
                       std::uint64_t core_max, std::atomic<std::uint64_t>& progress) {
  if (!Take(file, head, stream, options, memory, core_max, progress)) (void)::ftruncate(file.get(), 0);
}

Result<std::optional<CoreHead>> FallBackToMinimal(const Fd& dir, Fd file, const EndedCore& full,
                                                  FrameCheck check, CrashRecord& record,
                                                  std::atomic<std::uint64_t>* progress) {
  auto minimal = Look(std::move(file), check, progress);
  if (!minimal && IsShortage(minimal.error())) return std::unexpected(std::move(minimal).error());
  if (!minimal || !*minimal || HasAllOf(full, (*minimal)->head)) return std::nullopt;
  OBIT_TRY(PutInPlace(dir));
  Describe(**minimal, full, record);
  const auto& synced = (*minimal)->synced;
  if (!synced) NoteUnsynced(record.capture, "the core", synced.error());
  (void)Sync(dir);  // no record may be there before it: that would tell of the other core
  return std::move((*minimal)->head);
}

Result<bool> TakeStoredMinimal(const Fd& dir, bool same_boot, const std::function<Result<void>()>& before) {
  Fd minimal;
  const auto is_whole = TryTwice([&]() -> Result<bool> {
    minimal = OBIT_TRY(OpenInside(dir, kMinimalFile, O_RDONLY | O_NONBLOCK));
    return IsWholeCore(minimal);
  });
  if (!is_whole && IsShortage(is_whole.error())) return std::unexpected(is_whole.error());
  if (is_whole && *is_whole && OBIT_TRY(IsWorthLess(dir, same_boot)) && Sync(minimal)) {
    if (before) OBIT_TRY(before());
    OBIT_TRY(PutInPlace(dir));
    (void)Sync(dir);  // as above
    return true;
  }
  ::unlinkat(dir.get(), kMinimalFile, 0);
  return false;
}

}  // namespace obit
