#include "server/clerk_incoming.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/file_time.h"
#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/try_twice.h"
#include "capture/capture.h"
#include "capture/executable.h"
#include "capture/minimal_beside.h"
#include "capture/write_record.h"
#include "crash/record_json.h"
#include "server/facts_record.h"
#include "store/access.h"
#include "store/folder.h"
#include "store/prepared.h"
#include "store/recover.h"

namespace obit {
namespace {

// What lies in incoming/ is of this user, and nobody else can mount anything there. So it is asked for by
// calls that need no descriptor: a shortage must not look like a crash of which nothing is left.

bool Exists(const Fd& dir, const char* name) {
  struct stat status{};
  return ::fstatat(dir.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/// Bytes of a regular file; 0 also if there is none. Fails if that cannot be told. `changed`, if given, gets
/// the time of its last change.
Result<std::uint64_t> SizeOf(const Fd& dir, const char* name, std::int64_t* changed = nullptr) {
  struct stat status{};
  if (::fstatat(dir.get(), name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
    auto failed = Fail(errno, "look at {}", name);
    if (IsAbsence(failed.error())) return 0;
    return failed;
  }
  if (changed != nullptr) *changed = NanosecondsOf(status.st_mtim);
  return S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
}

/// Nobody has looked into it: it may be all of the core, or a part of it. `stored`: its bytes.
Result<void> TakeStoredCore(const Fd& dir, CrashRecord& record, std::uint64_t stored) {
  const Fd core = OBIT_TRY(OpenInside(dir, kCoreFile, O_RDONLY | O_NONBLOCK));
  // A disk that gives the end of the file no more has the rest of it all the same.
  const auto sizes = SizesOfWholeCore(core);
  if (!sizes && IsShortage(sizes.error())) return std::unexpected(sizes.error());
  const bool whole = sizes && *sizes;
  CrashRecord::Capture& capture = record.capture;
  record.files.core = kCoreFile;
  if (capture.method == CaptureMethod::kNone) capture.method = CaptureMethod::kStream;
  capture.outcome = CrashOutcome::kTruncated;
  capture.stored_bytes = stored;
  capture.core_bytes = whole ? (*sizes)->plain : 0;
  AddReason(capture,
            whole ? "its core had been stored, and is kept" : "its core could not be completed, and is kept");
  if (const auto synced = Sync(core); !synced) NoteUnsynced(capture, "the core", synced.error());
  return {};
}

constexpr const char* kIsMinimal = "it is a minimal one";

/// True: core.zst is what was minimal.zst, whether now or by an earlier try, whose begun.json says so then.
Result<bool> TakeMinimal(const Fd& dir, CrashRecord* begun) {
  if (!Exists(dir, kMinimalFile)) return begun != nullptr && begun->capture.reason == kIsMinimal;
  const bool same_boot =
      begun != nullptr && !begun->host.boot_id.empty() && begun->host.boot_id == ThisHost().boot_id;
  return TakeStoredMinimal(dir, same_boot, [&]() -> Result<void> {
    if (begun == nullptr) return {};
    begun->capture.reason = kIsMinimal;
    return WriteFileAtomically(dir, kBegunFile, RecordToJson(*begun), kPrivateFile);
  });
}

template <class T>
bool Set(T& value, const T& right) {
  if (value == right) return false;
  value = right;
  return true;
}

}  // namespace

Result<std::optional<CrashLocation>> FindCommitted(const Store& store, const std::string& id,
                                                   std::int64_t time) {
  const auto is_there = [&](const std::string& day) -> Result<bool> {
    const auto folder = OpenInside(store.root(), "crashes/" + day, O_PATH | O_DIRECTORY);
    const auto crash = folder ? OpenInside(*folder, id, O_PATH) : std::unexpected(folder.error());
    if (crash) return true;
    if (IsShortage(crash.error())) return std::unexpected(crash.error());
    return folder && crash.error().code == EXDEV;  // its owner can have mounted something over it
  };
  if (time != 0) {
    const std::string day = FormatDay(time);
    return OBIT_TRY(is_there(day)) ? std::optional(CrashLocation{day, id}) : std::nullopt;
  }
  auto days = store.Days();
  if (!days && IsShortage(days.error())) return std::unexpected(std::move(days).error());
  for (const std::string& day : std::move(days).value_or(std::vector<std::string>()))
    if (OBIT_TRY(is_there(day))) return CrashLocation{day, id};
  return std::nullopt;
}

Result<LeftCrash> LookAtLeft(const Fd& dir) {
  LeftCrash left;
  const auto take = [&](const CrashRecord& record) { left.id = record.id, left.number = record.number; };
  const auto complete = TryTwice([&] { return LoadRecord(dir, kRecordFile); });
  if (!complete && !SaysThereIsNone(complete.error())) return std::unexpected(complete.error());
  const std::uint64_t core = OBIT_TRY(SizeOf(dir, kCoreFile));
  if (complete && (complete->files.core.empty() || core > 0)) {
    left.state = LeftCrash::State::kComplete;
    take(*complete);
    return left;
  }
  const bool is_recorded = complete || complete.error().code != ENOENT;
  // A power cut may have taken what begun.json said, and a full disk may have had no room for it.
  if (!is_recorded && core == 0 && OBIT_TRY(SizeOf(dir, kMinimalFile)) == 0 &&
      OBIT_TRY(SizeOf(dir, kBegunFile)) == 0)
    return left;
  left.state = LeftCrash::State::kBegun;
  const auto begun = TryTwice([&] { return LoadRecord(dir, kBegunFile); });
  if (!begun && IsShortage(begun.error())) return std::unexpected(begun.error());
  if (begun) take(*begun);
  return left;
}

Result<Fd> OpenIncoming(const Store& store, const std::string& id) {
  const Fd incoming = OBIT_TRY(OpenInside(store.root(), "incoming", O_RDONLY | O_DIRECTORY));
  FoundIncoming found = OBIT_TRY(FindIncoming(incoming, id));
  if (found.name != id) OBIT_TRY(MoveFolder(incoming, found.name, incoming, id));
  return std::move(found.dir);
}

Result<void> RenameIncoming(const Store& store, const std::string& name, const std::string& id) {
  return MoveFolder(store.root(), "incoming/" + name, store.root(), "incoming/" + id);
}

bool ApplyHead(const RecordHead& head, CrashRecord& record,
               const std::function<bool(std::uint64_t)>& was_given) {
  CrashRecord::Process& process = record.process;
  // What the notes of the core tell can take rights away, and give none.
  bool changed = Set<std::optional<bool>>(process.privileged,
                                          head.privileged != 0 || process.privileged.value_or(false));
  if (head.has_uid != 0) changed |= Set<std::optional<uid_t>>(process.uid, head.uid);
  if (head.pid > 0) {
    changed |= Set(process.pid, head.pid);
    changed |= Set(record.capture.rule, TextIn(head.rule));
    changed |= Set(record.capture.handling, HandlingIn(head));
  }
  if (head.signal != 0) changed |= Set(record.signal.number, head.signal);
  if (head.has_code != 0) changed |= Set<std::optional<int>>(record.signal.code, head.code);
  if (head.time != 0) changed |= Set(record.time, head.time);
  // A worker that hung notices late that its process was let go.
  if (const double held = static_cast<double>(head.held) / 1e9;
      head.held > 0 && (held < record.capture.held_seconds || record.capture.held_seconds == 0))
    changed |= Set(record.capture.held_seconds, held);
  std::uint64_t number = head.number != 0 ? head.number : record.number;
  if (!was_given(number)) {
    Log(Severity::kWarning, "crash {}: its number {} was never given: it is ignored", record.id, number);
    number = 0;
  }
  return Set(record.number, number) || changed;
}

Result<void> WriteWithoutCore(const Fd& dir, const CrashRecord& record) {
  auto begun = LoadRecord(dir, kBegunFile);
  if (!begun && IsShortage(begun.error())) return std::unexpected(begun.error());
  CrashRecord written = begun ? *begun : record;
  written.files = {};
  written.capture.outcome = record.capture.outcome;
  written.capture.reason = record.capture.reason;
  const bool is_minimal = OBIT_TRY(TakeMinimal(dir, begun ? &*begun : nullptr));
  std::int64_t changed = RealtimeNow();
  const std::uint64_t stored = OBIT_TRY(SizeOf(dir, kCoreFile, &changed));
  if (written.time == 0) written.time = changed;  // nobody knows when it came
  if (stored > 0) {
    OBIT_TRY(TakeStoredCore(dir, written, stored));
    if (is_minimal) AddReason(written.capture, kIsMinimal);
  } else {
    ::unlinkat(dir.get(), kCoreFile, 0);
    written.capture.method = CaptureMethod::kNone;
  }
  OBIT_TRY(TakeStoredExecutable(dir, written));
  return WriteRecord(dir, written);
}

Result<void> ReplaceRecord(const Fd& dir, CrashRecord record, const std::string& reason) {
  record.capture.outcome = CrashOutcome::kFailed;
  record.capture.reason = reason;
  if (const auto stored = OBIT_TRY(SizeOf(dir, kCoreFile)); stored > 0)
    OBIT_TRY(TakeStoredCore(dir, record, stored));
  OBIT_TRY(TakeStoredExecutable(dir, record));
  return WriteRecord(dir, record);
}

}  // namespace obit
