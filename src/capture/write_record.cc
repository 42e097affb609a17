#include "capture/write_record.h"

#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/inside.h"
#include "base/io.h"
#include "base/log.h"
#include "base/try_twice.h"
#include "capture/capture.h"
#include "crash/record_json.h"
#include "store/store.h"

namespace obit {
namespace {

/// Makes the record one that readers take, who take kRecordJsonMax: what is long of it goes, and is said to
/// be cut. EFBIG: that does not do.
Result<void> Fit(CrashRecord& record) {
  const auto fits = [&] { return RecordToJson(record).size() <= kRecordJsonMax; };
  if (fits()) return {};
  CrashRecord::Process& process = record.process;
  process.cmdline.clear();
  process.cmdline_truncated = true;
  constexpr std::size_t kLong = PATH_MAX;
  const auto drop = [&](std::string& path, std::string_view name) {
    if (path.size() <= kLong) return;
    path.clear();
    process.too_long.emplace_back(name);
  };
  drop(process.exe, "exe");
  drop(process.cwd, "cwd");
  drop(process.root, "root");
  drop(process.cgroup, "cgroup");
  for (std::string* text :
       {&record.capture.reason, &record.capture.stream_reason, &record.capture.exe_reason})
    if (text->size() > kLong) text->resize(kLong);
  for (NamedMemory& memory : record.capture.unread) memory.name.clear();
  if (record.capture.verified)
    for (NamedMemory& memory : record.capture.verified->differences) memory.name.clear();
  if (!fits()) return Refuse(EFBIG, "{} is larger than {} bytes", kRecordFile, kRecordJsonMax);
  return {};
}

/// The same without a sync, which the disk has refused.
Result<void> WriteUnsynced(const Fd& dir, const CrashRecord& record, const PrepareFile& prepare) {
  const std::string temporary = std::string(kRecordFile) + ".new";
  ::unlinkat(dir.get(), temporary.c_str(), 0);
  const Fd file = OBIT_TRY(OpenInside(dir, temporary, O_WRONLY | O_CREAT | O_EXCL, kPrivateFile));
  OBIT_TRY_IN(WriteAll(file, RecordToJson(record)), "write {}", kRecordFile);
  if (prepare) OBIT_TRY(prepare(file));
  if (::renameat(dir.get(), temporary.c_str(), dir.get(), kRecordFile) < 0)
    return Fail(errno, "rename {}", temporary);
  return {};
}

}  // namespace

void AddReason(CrashRecord::Capture& capture, std::string_view reason) {
  if (!capture.reason.empty()) capture.reason += "; ";
  capture.reason += reason;
}

void NoteUnsynced(CrashRecord::Capture& capture, std::string_view what, const Error& why) {
  capture.synced = false;
  AddReason(capture, fmt::format("{} may not survive a power cut: {}", what, why.what));
}

Result<void> StoreRecord(const Fd& dir, CrashRecord& record, const PrepareFile& prepare) {
  OBIT_TRY(Fit(record));
  const auto written = TryTwice(
      [&] { return WriteFileAtomically(dir, kRecordFile, RecordToJson(record), kPrivateFile, prepare); });
  CrashRecord unsynced = record;
  if (!written) {
    NoteUnsynced(unsynced.capture, "the record", written.error());
    if (!WriteUnsynced(dir, unsynced, prepare)) return written;
    record = std::move(unsynced);
  }
  ::unlinkat(dir.get(), kBegunFile, 0);
  const auto synced = Sync(dir);
  if (written && !synced) {
    NoteUnsynced(unsynced.capture, "the record", synced.error());
    const auto noted = TryTwice([&] { return WriteUnsynced(dir, unsynced, prepare); });
    if (noted)
      record = std::move(unsynced);
    else
      Log(Severity::kWarning, "crash {}: its record does not say that it may not survive a power cut: {}",
          record.id, noted.error().what);
  }
  return {};
}

Result<void> WriteRecord(const Fd& dir, const CrashRecord& record) {
  CrashRecord written = record;
  return StoreRecord(dir, written);
}

void ReplaceBegun(const Fd& dir, const CrashRecord& record) {
  constexpr const char* kNext = "begun.json.new";
  const auto next = OpenAt(dir, kNext, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (next && WriteAll(*next, RecordToJson(record)) &&
      ::renameat(dir.get(), kNext, dir.get(), kBegunFile) == 0)
    return;
  ::unlinkat(dir.get(), kNext, 0);
}

}  // namespace obit
