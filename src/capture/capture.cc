#include "capture/capture.h"

#include <algorithm>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file_time.h"
#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/processors.h"
#include "base/try_twice.h"
#include "capture/answer.h"
#include "capture/direct.h"
#include "capture/executable.h"
#include "capture/facts.h"
#include "capture/minimal.h"
#include "capture/minimal_beside.h"
#include "capture/stored_head.h"
#include "capture/verify.h"
#include "capture/write_record.h"
#include "crash/record_json.h"
#include "elf/core_head.h"
#include "elf/core_notes.h"
#include "store/prepared.h"
#include "store/recover.h"
#include "store/store.h"

namespace obit {
namespace {

/// What is left of a core after its head that makes it worth to be read directly, bytes. The kernel is then
/// not done with it either: it cannot be so far ahead of its reader.
constexpr std::uint64_t kDirectMin = 1 << 20;
/// And for each segment: to look one up and scan it costs as much as the kernel needs to send so much, bytes.
constexpr std::uint64_t kDirectMinPerSegment = 32 * 1024;

/// The kernel's dump and the thread that reads it take turns, some pages each. On one processor they pass
/// these on in its cache; on two each turn wakes the other one, and both spend half as much again (measured
/// on 6.18: 0.65 and 1.05 CPU seconds for a GiB that is thrown away).
Result<void> CopyStream(std::uint64_t end, CoreStream& stream, CoreWriter& writer) {
  const StayOnProcessor here;
  if (here.processor()) writer.KeepOff(*here.processor());
  return stream.Copy(end, writer);
}

/// Gets the core into `writer`, by the best way there is. `take_minimal` and `keep` come before all that
/// takes long, if it does. An error says why the core ends early.
Result<void> Acquire(CoreHead& head, CoreStream& stream, CoreWriter& writer,
                     std::optional<DirectCapture>& direct, const MemoryTies* ties, pid_t pid,
                     std::uint64_t max, CrashRecord::Capture& capture,
                     const std::function<void()>& take_minimal, const std::function<void()>& keep) {
  capture.method = CaptureMethod::kStream;
  const auto read = stream.ReadHead(head, writer, max);
  capture.promised_bytes = head.core_bytes();
  OBIT_TRY(read);
  const std::uint64_t end = std::min(head.core_bytes().value_or(0), max);
  const std::uint64_t least = std::max(kDirectMin, head.segments().size() * kDirectMinPerSegment);
  // A limit may lie in a hole, of which the kernel sends nothing until it has walked through.
  const bool cut = end < head.core_bytes().value_or(0);
  if (!direct || (!cut && end < stream.position() + least)) return CopyStream(end, stream, writer);
  if (const auto planned = direct->Plan(ties, pid); !planned) {
    capture.stream_reason = planned.error().what;
    return CopyStream(end, stream, writer);
  }
  capture.method = CaptureMethod::kDirect;
  const std::uint64_t worth = std::max(kMinimalBesideMin, kMinimalBesideMinPerNotes * head.notes().size());
  if (end >= worth && direct->HasMemoryOf(worth).value_or(false)) {
    take_minimal();
    keep();
  }
  auto captured = direct->Run();
  direct->Describe(capture);
  return captured;
}

/// Compares a core that was captured directly with the rest of the stream, for as long as the process waits.
Result<void> Verify(const Fd& file, const CoreHead& head, CoreStream& stream, const DirectCapture& direct,
                    CrashRecord::Capture& capture) {
  CoreReader stored = OBIT_TRY(CoreReader::Open(OBIT_TRY(Duplicate(file))));
  capture.verified = OBIT_TRY_IN(
      CompareWithStream(stored, stream, head.core_bytes().value_or(0), direct.segments()), "verify");
  return {};
}

/// The same of one that was captured when its process was gone, with what was `sent` before.
Result<void> VerifyAfterwards(const Fd& file, const Result<StreamDigest>& sent, const DirectCapture& direct,
                              CrashRecord::Capture& capture) {
  if (!sent) return std::unexpected(Error(sent.error()).In("verify"));
  CoreReader stored = OBIT_TRY(CoreReader::Open(OBIT_TRY(Duplicate(file))));
  capture.verified = OBIT_TRY_IN(sent->CompareWith(stored, direct.segments()), "verify");
  return {};
}

bool HasBytes(const Fd& file) {
  struct stat status{};
  return ::fstat(file.get(), &status) == 0 && status.st_size > 0;
}

Error IsLimited(std::uint64_t core_max) { return Refuse(EFBIG, "RLIMIT_CORE is {} bytes", core_max).error(); }

/// A begun.json is synced beside a core that takes so much longer to be synced itself, bytes as stored: the
/// core of a small crash is on the disk as soon as its record is, and one more flush would make that later.
constexpr std::uint64_t kSyncBegunMin = 16 << 20;

/// Puts the minimal core in the place of the first `plain` bytes of a full one. False: there is none, it has
/// no more than those, or the disk does not move it. Fails for a shortage.
Result<bool> KeepMinimal(CaptureJob& job, CoreHead& head, std::uint64_t plain, const Error& why,
                         CrashRecord& record) {
  // The memory of a process that was killed may have been taken before it was read: then it reads as zeros.
  EndedCore full{std::move(head), why.code == ESRCH ? 0 : plain};
  std::string of_full = std::exchange(record.capture.reason, why.what);
  const auto kept = TryTwice([&]() -> Result<std::optional<CoreHead>> {
    return FallBackToMinimal(job.dir, OBIT_TRY(Duplicate(job.minimal)), full, FrameCheck::kShape, record,
                             /*progress=*/nullptr);
  });
  head = std::move(full.head);
  if (!kept && IsShortage(kept.error())) return std::unexpected(kept.error());
  if (kept && *kept) {
    job.core.Reset();  // its room is free
    return true;
  }
  record.capture.reason = std::move(of_full);
  return false;
}

/// With less memory a process has no core of which a part would come much faster: its mappings, bytes. The
/// kernel sends so much in a tenth of a second.
constexpr std::uint64_t kReducedMin = 64 << 20;

/// What to ask the kernel for, so that it does not send what a minimal core seldom has any of: shared memory,
/// and all of the files that are mapped. Only where the core has to come by stream: else no more than its
/// head is read, which then tells how large a full core would have been.
std::optional<std::uint64_t> ReducedTypes(const CaptureJob& job, const CrashRecord& record) {
  if (record.capture.detail != Detail::kMinimal || job.memory) return std::nullopt;
  if (record.process.virtual_bytes.value_or(UINT64_MAX) < kReducedMin) return std::nullopt;
  return TypesOfMinimal(*job.offer);
}

double SecondsSince(std::int64_t begin) { return static_cast<double>(MonotonicNow() - begin) / 1e9; }

/// Gets the core into core.zst, and lets the process go. The record gets sizes, outcome and reason. False: it
/// ended early, and there is no memory to look at the minimal one; both are there.
Result<bool> CaptureCore(CaptureJob& job, StreamedMemory streamed, CoreHead& head, CrashRecord& record,
                         std::atomic<std::uint64_t>& progress,
                         const std::function<void(CaptureStep)>& reached) {
  CrashRecord::Capture& capture = record.capture;
  CoreWriter writer(job.core, job.writer);
  CoreStream stream(job.connection, job.deadlines, progress);
  std::optional<DirectCapture> direct;
  if (job.memory) direct.emplace(*job.memory, head, stream, writer, progress, job.core_max);
  capture.stream_reason = job.stream_reason;
  const bool minimal = capture.detail == Detail::kMinimal;
  const auto take_minimal = [&] {
    if (!job.minimal) return;
    writer.Rest();  // there is memory for one writer
    TakeMinimalBeside(job.minimal, head, stream, job.writer, *job.memory, job.core_max, progress);
  };
  const auto let_go = [&](CaptureStep step) {
    ReleaseConnection(job.connection);
    capture.held_seconds = SecondsSince(job.accepted);
    writer.CompressFetched();
    reached(step);
  };
  std::optional<KeptProcess> kept;
  std::optional<MemoryWatch> watch;
  Result<StreamDigest> sent = Refuse(ENODATA, "it was not read");
  const auto keep = [&] {
    KeepAttempt attempt = KeepProcess(job.keep, {.head = head,
                                                 .memory = *job.memory,
                                                 .direct = *direct,
                                                 .outlook = job.outlook,
                                                 .resident = record.process.resident_bytes,
                                                 .mapped = record.process.virtual_bytes,
                                                 .threads = record.process.threads,
                                                 .has_minimal = job.minimal && HasBytes(job.minimal)});
    // What was read then may be of a process that was ending.
    if (attempt.kept && stream.HungUp()) attempt = {{}, "it was killed"};
    if (!attempt.kept) {
      capture.held_because = std::move(attempt.reason);
      return;
    }
    capture.kept_because = std::move(attempt.reason);
    kept = std::move(attempt.kept);
    const std::uint64_t from = stream.position();
    if (job.verify) sent = StreamDigest::Read(stream, head.core_bytes().value_or(0));
    direct->GoOnAlone({.first = kept->first,
                       .watch = watch.emplace(job.outlook->meminfo, job.outlook->pressure),
                       .from = from,
                       .page = kept->page,
                       .deadline = MonotonicNow() + job.keep.timeout.count()});
    let_go(CaptureStep::kKept);
    writer.TakeTime();
    // Whoever completes what a killed worker leaves, and `obit status`, see that it was so far.
    ReplaceBegun(job.dir, record);
  };
  auto acquired = minimal ? CaptureMinimal(head, stream, writer, job.memory ? &*job.memory : nullptr,
                                           job.core_max, progress, capture, streamed)
                          : Acquire(head, stream, writer, direct, job.outlook ? &job.outlook->ties : nullptr,
                                    record.process.pid, job.core_max, capture, take_minimal, keep);
  std::optional<Error> ended;  // early
  if (!acquired) ended = acquired.error();
  if (acquired && capture.promised_bytes.value_or(0) > job.core_max)
    acquired = std::unexpected(IsLimited(job.core_max));
  const bool verify = job.verify && !minimal && acquired && capture.method == CaptureMethod::kDirect;
  if (kept) {
    capture.copied_seconds = SecondsSince(job.accepted);
    reached(CaptureStep::kCopied);  // to free it takes as long as its end would have taken
    kept.reset();
  } else if (!verify) {
    let_go(CaptureStep::kReleased);
  }

  if (!ended && !verify && job.minimal) {
    writer.Rest();  // the room of the minimal core may be all that there is for the seek table
    if (!writer.failure()) (void)::ftruncate(job.minimal.get(), 0);
  }
  const StoredCore core = OBIT_TRY(writer.Finish());
  if (!acquired) capture.reason = acquired.error().what;
  if (!ended) ended = writer.failure();
  if (capture.reason.empty() && ended) capture.reason = ended->what;
  if (verify) {
    // Whatever comes of that, the core is what it is.
    const auto verified = capture.copied_seconds ? VerifyAfterwards(job.core, sent, *direct, capture)
                                                 : Verify(job.core, head, stream, *direct, capture);
    if (!verified) capture.verify_reason = verified.error().what;
    if (job.connection) let_go(CaptureStep::kReleased);
  }
  if (ended && job.minimal) {
    writer.Rest();  // there is memory for one core at a time
    const auto kept = KeepMinimal(job, head, core.plain, *ended, record);
    if (!kept) return false;
    if (*kept) return true;
  }
  if (core.plain == 0 || !head.invalid().empty()) {
    ::unlinkat(job.dir.get(), kCoreFile, 0);
    capture.method = CaptureMethod::kNone;
    capture.outcome = CrashOutcome::kFailed;
    return true;
  }
  const bool is_minimal = capture.full_bytes.has_value() || streamed == StreamedMemory::kReduced;
  capture.outcome = !capture.reason.empty() ? CrashOutcome::kTruncated
                    : is_minimal            ? CrashOutcome::kMinimal
                                            : CrashOutcome::kFull;
  capture.core_bytes = core.plain;
  capture.stored_bytes = core.stored;
  capture.omitted_bytes = core.omitted;
  record.files.core = kCoreFile;
  if (core.stored >= kSyncBegunMin) (void)Sync(job.begun);
  if (const auto synced = Sync(job.core); !synced) NoteUnsynced(capture, "the core", synced.error());
  return true;
}

/// The record of a crash whose core cannot be kept: what there is of the file is removed, to make room for
/// the record.
void GiveUpCore(const Fd& dir, CrashRecord& record, const Error& why) {
  ::unlinkat(dir.get(), kCoreFile, 0);
  record.files.core.clear();
  record.capture.method = CaptureMethod::kNone;
  record.capture.core_bytes = record.capture.stored_bytes = record.capture.omitted_bytes = 0;
  record.capture.outcome = CrashOutcome::kFailed;
  record.capture.synced = true;
  record.capture.reason = why.what;
}

/// There is nothing of a core. What else goes wrong may go well next time.
bool SaysThereIsNoCore(const Error& error) { return error.code == ENOENT || error.code == ENODATA; }

/// Nobody will ever read it.
bool IsUnreadable(const Error& error) {
  return error.code == EBADMSG || error.code == EPROTONOSUPPORT || error.code == EPERM || IsAbsence(error);
}

Result<CoreHead> HeadOf(const Fd& file) {
  OpenedCore opened = OBIT_TRY(OpenStoredCore(OBIT_TRY(Duplicate(file))));
  return ReadStoredHead(opened.reader, HeadForMinimal());
}

/// Where the disk does not give all of the core, its end may be there all the same.
Result<bool> MayHaveEnd(const Fd& file) {
  const auto whole = IsWholeCore(file);
  if (!whole && IsShortage(whole.error())) return whole;
  return !whole || *whole;
}

/// Makes core.zst good, which is `file`, and learns from its head. It may even be whole: only the record was
/// still to be written. A damaged one may be kept: what is behind the damage can be read by other means.
/// Returns what there is of one that certainly ended early; none: it did not.
Result<std::optional<EndedCore>> RecoverStoredCore(const Fd& file, FrameCheck check, CrashRecord& record,
                                                   std::atomic<std::uint64_t>* progress) {
  const RecoveredCore core = OBIT_TRY(RecoverCore(file, check, progress));
  if (core.plain == 0) return Refuse(ENODATA, "no part of the core had been stored");
  const auto read = HeadOf(file);
  if (!read && read.error().code != EBADMSG) return std::unexpected(read.error());
  CoreHead head = read.value_or(CoreHead());
  const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
  ApplyCoreNotes(notes, record);
  CrashRecord::Capture& capture = record.capture;
  if (capture.method == CaptureMethod::kNone) capture.method = CaptureMethod::kStream;
  capture.promised_bytes = head.core_bytes();
  const bool whole = head.complete() && core.plain >= capture.promised_bytes;
  const bool sound = read && !core.damaged;
  const CrashOutcome complete = notes.mappings ? CrashOutcome::kMinimal : CrashOutcome::kFull;
  capture.outcome = whole && sound && core.has_table ? complete : CrashOutcome::kTruncated;
  const bool is_limited = !whole && capture.core_max && core.plain >= *capture.core_max;
  // Without begun.json, which tells the boot, nobody knows what was asked for.
  const bool fell_back = notes.mappings && capture.detail == Detail::kFull && !record.host.boot_id.empty();
  if (whole && !fell_back)
    capture.reason.clear();
  else if (is_limited)
    capture.reason = IsLimited(*capture.core_max).what;
  if (!sound)
    AddReason(capture, fmt::format("its core is damaged, and is kept: {}",
                                   (core.damaged ? *core.damaged : read.error()).what));
  if (core.unreadable)
    AddReason(capture, core.unreadable->what);
  else if (!core.has_table)
    AddReason(capture, "the disk did not take its seek table");
  capture.core_bytes = core.plain;
  capture.stored_bytes = core.stored;
  capture.omitted_bytes = core.omitted;
  if (const auto fits = CheckNotShifted(capture); !fits) {
    capture.outcome = CrashOutcome::kTruncated;
    AddReason(capture, fits.error().what);
  }
  record.files.core = kCoreFile;
  if (const auto synced = Sync(file); !synced) NoteUnsynced(capture, "the core", synced.error());
  if (whole || is_limited) return std::nullopt;
  if (core.damaged && !head.complete()) return std::nullopt;  // nobody knows how long it was to be
  if (core.unreadable && OBIT_TRY(MayHaveEnd(file))) return std::nullopt;
  return EndedCore{std::move(head), core.damaged ? 0 : core.plain};
}

/// The number of a file, by which it is told from another one in its place.
Result<ino_t> NumberOf(const Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the core");
  return status.st_ino;
}

/// EAGAIN: core.zst is another file meanwhile. A worker that was given up may live on.
Result<void> CheckInPlace(const Fd& dir, ino_t number) {
  struct stat status{};
  if (::fstatat(dir.get(), kCoreFile, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == number)
    return {};
  return Refuse(EAGAIN, "{} was replaced meanwhile", kCoreFile);
}

/// minimal.zst, if there is anything of that name.
Result<Fd> OpenMinimal(const Fd& dir) {
  auto opened = TryTwice([&] { return OpenInside(dir, kMinimalFile, O_RDONLY | O_NONBLOCK); });
  if (!opened && !IsShortage(opened.error())) return Fd();
  return opened;
}

/// Puts `file`, which is minimal.zst, in the place of a full core that ended because of `why`. False: the
/// record tells of that one as before.
Result<bool> RecoverMinimal(const Fd& dir, Fd file, const EndedCore& full, FrameCheck check, std::string why,
                            CrashRecord& record, std::atomic<std::uint64_t>* progress) {
  std::string of_full = std::exchange(record.capture.reason, std::move(why));
  const auto head = FallBackToMinimal(dir, std::move(file), full, check, record, progress);
  if (!head && IsShortage(head.error())) return std::unexpected(head.error());
  // That there is nothing to be renamed does not mean that there is no core.
  if (!head) return Refuse(EAGAIN, "{}", head.error().what);
  if (*head)
    ApplyCoreNotes(ParseCoreNotes((*head)->notes(), (*head)->elf_class(), (*head)->machine()), record);
  else
    record.capture.reason = std::move(of_full);
  return head->has_value();
}

/// The core of a capture that did not come to its end: core.zst, or, where that ended early, minimal.zst.
/// Returns the number of the file that the record tells of.
Result<ino_t> RecoverEitherCore(const Fd& dir, FrameCheck check, CrashRecord& record,
                                std::atomic<std::uint64_t>* progress) {
  const std::string why = record.capture.reason;
  ino_t number = 0;
  auto full = [&]() -> Result<std::optional<EndedCore>> {
    const Fd file = OBIT_TRY(OpenInside(dir, kCoreFile, O_RDWR));
    number = OBIT_TRY(NumberOf(file));
    return RecoverStoredCore(file, check, record, progress);
  }();
  if (!full && !SaysThereIsNoCore(full.error())) return std::unexpected(std::move(full).error());
  Fd minimal;
  if (!full || *full) minimal = OBIT_TRY(OpenMinimal(dir));
  if (minimal) {
    const ino_t of_minimal = OBIT_TRY(NumberOf(minimal));
    const EndedCore ended = full ? std::move(**full) : EndedCore();
    if (OBIT_TRY(RecoverMinimal(dir, std::move(minimal), ended, check, why, record, progress)))
      return of_minimal;
  }
  ::unlinkat(dir.get(), kMinimalFile, 0);
  if (!full) return std::unexpected(std::move(full).error());
  return number;
}

/// False: it is gone, or a power cut has left nothing in it.
Result<bool> HasCore(const Fd& dir) {
  struct stat status{};
  if (::fstatat(dir.get(), kCoreFile, &status, AT_SYMLINK_NOFOLLOW) == 0) return status.st_size > 0;
  auto failed = Fail(errno, "look at {}", kCoreFile);
  if (IsAbsence(failed.error())) return false;
  return failed;
}

/// The record so far. A power cut may have left nothing in begun.json, and a full disk may have taken none:
/// then a core is all there is, and its last change the time. ENOENT: there is none.
Result<CrashRecord> LoadBegun(const Fd& dir, const std::string& id) {
  auto begun = LoadRecord(dir, kBegunFile);
  if (begun || !IsUnreadable(begun.error())) return begun;
  struct stat status{};
  if (::fstatat(dir.get(), kCoreFile, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
    return Fail(errno, "look at {}", kCoreFile);
  if (status.st_size == 0) (void)::fstatat(dir.get(), kMinimalFile, &status, AT_SYMLINK_NOFOLLOW);
  if (status.st_size == 0) return Refuse(ENOENT, "nothing of it was stored: {}", begun.error().what);
  CrashRecord record;
  record.id = id;
  record.time = NanosecondsOf(status.st_mtim);
  record.process.privileged = true;
  return record;
}

}  // namespace

void ReleaseConnection(Fd& connection) {
  if (!connection) return;
  ::shutdown(connection.get(), SHUT_RDWR);  // a pipe has no such call: there, closing is all
  connection.Reset();
}

Result<CrashRecord> Capture(CaptureJob job, std::atomic<std::uint64_t>& progress,
                            const std::function<void(CaptureStep)>& reached) {
  CrashRecord record = std::move(job.record);
  job.writer.written = &progress;
  if (job.core_max != UINT64_MAX) record.capture.core_max = job.core_max;
  // Only Recover needs it: a capture that is not killed does without, and so can Recover.
  const std::string begun = RecordToJson(record);
  (void)TryTwice([&] { return WriteAllAt(job.begun, std::as_bytes(std::span(begun)), 0); });
  CoreHead head = HeadForMinimal();
  Result<bool> captured = true;
  Result<CoredumpAck> agreed;
  if (job.offer)
    agreed = AskFor(record.capture.detail, job.connection, *job.offer,
                    MonotonicNow() + job.deadlines.progress.count(), ReducedTypes(job, record));
  const bool is_reduced = agreed && (agreed->mask & kCoredumpMemoryTypes) != 0;
  if (agreed)
    captured = CaptureCore(job, is_reduced ? StreamedMemory::kReduced : StreamedMemory::kSelected, head,
                           record, progress, reached);
  else
    captured = std::unexpected(std::move(agreed).error());
  if (job.connection) {  // it failed before the release
    ReleaseConnection(job.connection);
    record.capture.held_seconds = SecondsSince(job.accepted);
    reached(CaptureStep::kReleased);
  }
  if (captured && !*captured) return Refuse(ENOMEM, "there is no memory to look at its minimal core");
  ::unlinkat(job.dir.get(), kMinimalFile, 0);
  if (!captured) GiveUpCore(job.dir, record, captured.error());
  ApplyCoreNotes(ParseCoreNotes(head.notes(), head.elf_class(), head.machine()), record);
  if (job.exe) KeepExecutable(job.exe, job.exe_reachable, job.dir, job.writer, record);

  OBIT_TRY(StoreRecord(job.dir, record));
  return record;
}

Result<CrashRecord> Recover(const Fd& dir, const RecoveryJob& job) {
  auto complete = LoadRecord(dir, kRecordFile);
  if (!complete && !IsUnreadable(complete.error())) return complete;
  if (complete) {
    if (!complete->files.core.empty() && !OBIT_TRY(HasCore(dir))) {
      GiveUpCore(dir, *complete, Refuse(ENODATA, "what was stored of the core is gone").error());
      OBIT_TRY(StoreRecord(dir, *complete));
    }
    ::unlinkat(dir.get(), kBegunFile, 0);
    ::unlinkat(dir.get(), kMinimalFile, 0);
    return complete;
  }
  CrashRecord record = OBIT_TRY(LoadBegun(dir, job.id));
  record.capture.reason = job.reason;
  // It was not synced, and the machine may have lost its power.
  const bool same_boot = !job.boot_id.empty() && record.host.boot_id == job.boot_id;
  const auto check = same_boot ? FrameCheck::kShape : FrameCheck::kContent;
  const auto core = RecoverEitherCore(dir, check, record, job.progress);
  if (!core && !SaysThereIsNoCore(core.error())) return std::unexpected(core.error());
  if (!core) {
    GiveUpCore(dir, record, core.error());
    record.capture.reason = job.reason;
  }
  // A power cut may have taken any part of it.
  if (check == FrameCheck::kContent) ::unlinkat(dir.get(), kExeFile, 0);
  OBIT_TRY(TakeStoredExecutable(dir, record));
  if (core) OBIT_TRY(CheckInPlace(dir, *core));
  OBIT_TRY(StoreRecord(dir, record));
  return record;
}

}  // namespace obit
