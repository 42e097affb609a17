#include "capture/capture.h"

#include <algorithm>

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/processors.h"
#include "capture/direct.h"
#include "capture/executable.h"
#include "capture/facts.h"
#include "capture/stored_head.h"
#include "capture/verify.h"
#include "crash/record_json.h"
#include "elf/core_head.h"
#include "elf/core_notes.h"
#include "store/recover.h"
#include "store/store.h"

namespace obit {
namespace {

/// Answers the kernel's offer and waits for its verdict.
Result<void> AskForCore(const Fd& connection, const CoredumpRequest& offer, Detail detail,
                        std::int64_t deadline) {
  Handshake handshake(offer);
  const CoredumpAck ack = OBIT_TRY(handshake.Answer(detail));
  // In one piece: the kernel drops a dump whose answer begins with fewer than 4 bytes.
  if (::send(connection.get(), &ack, sizeof ack, MSG_NOSIGNAL) != sizeof ack)
    return Refuse(EPIPE, "the process was gone before its dump began");
  while (handshake.state() == Handshake::State::kMark) {
    std::array<std::byte, sizeof(CoredumpMark)> mark{};
    const auto room = std::span(mark).first(handshake.wanted());
    const ssize_t n = ::recv(connection.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (WaitReadable(connection, deadline)) continue;
      return Refuse(ETIMEDOUT, "the kernel did not react to the answer");
    }
    if (n <= 0) return Refuse(EPIPE, "the process was gone before its dump began");
    OBIT_TRY(handshake.Receive(room.first(static_cast<std::size_t>(n))));
  }
  if (handshake.state() == Handshake::State::kRefused)
    return Refuse(EPROTO, "the kernel refused the answer: {}", Describe(handshake.mark()));
  return {};
}

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

/// Gets the core into `writer`, by the best way there is. An error says why it ends early.
Result<void> Acquire(CoreHead& head, CoreStream& stream, CoreWriter& writer,
                     std::optional<DirectCapture>& direct, std::uint64_t max, CrashRecord::Capture& capture) {
  capture.method = CaptureMethod::kStream;
  OBIT_TRY(stream.ReadHead(head, writer, max));
  const std::uint64_t end = std::min(head.core_bytes().value_or(0), max);
  const std::uint64_t least = std::max(kDirectMin, head.segments().size() * kDirectMinPerSegment);
  // A limit may lie in a hole, of which the kernel sends nothing until it has walked through.
  const bool cut = end < head.core_bytes().value_or(0);
  if (!direct || (!cut && end < stream.position() + least)) return CopyStream(end, stream, writer);
  if (const auto planned = direct->Plan(); !planned) {
    capture.stream_reason = planned.error().what;
    return CopyStream(end, stream, writer);
  }
  capture.method = CaptureMethod::kDirect;
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

/// Gets the core into core.zst, and lets the process go. The record gets sizes, outcome and reason.
Result<void> CaptureCore(CaptureJob& job, CoreHead& head, CrashRecord& record,
                         std::atomic<std::uint64_t>& progress, const std::function<void()>& released) {
  CrashRecord::Capture& capture = record.capture;
  const Fd file = OBIT_TRY(OpenAt(job.dir, kCoreFile, O_RDWR | O_CREAT | O_EXCL, 0600));
  CoreWriter writer(file, job.writer);
  CoreStream stream(job.connection, job.deadlines, progress);
  std::optional<DirectCapture> direct;
  if (job.memory) direct.emplace(*job.memory, head, stream, writer, progress, job.core_max);
  capture.stream_reason = job.stream_reason;
  auto acquired = Acquire(head, stream, writer, direct, job.core_max, capture);
  if (acquired && head.core_bytes().value_or(0) > job.core_max)
    acquired = Refuse(EFBIG, "RLIMIT_CORE is {} bytes", job.core_max);
  const auto release = [&] {
    ReleaseConnection(job.connection);
    capture.held_seconds = static_cast<double>(MonotonicNow() - job.accepted) / 1e9;
    released();
  };
  const bool verify = job.verify && acquired && capture.method == CaptureMethod::kDirect;
  if (!verify) release();

  const StoredCore core = OBIT_TRY(writer.Finish());
  if (!acquired) capture.reason = acquired.error().what;
  if (capture.reason.empty())
    if (const auto failure = writer.failure()) capture.reason = failure->what;
  if (verify) {
    if (const auto verified = Verify(file, head, stream, *direct, capture);
        !verified && capture.reason.empty())
      capture.reason = verified.error().what;
    release();
  }
  capture.promised_bytes = head.core_bytes();
  if (core.plain == 0 || !head.invalid().empty()) {
    ::unlinkat(job.dir.get(), kCoreFile, 0);
    capture.method = CaptureMethod::kNone;
    capture.outcome = CrashOutcome::kFailed;
    return {};
  }
  capture.outcome = capture.reason.empty() ? CrashOutcome::kFull : CrashOutcome::kTruncated;
  capture.core_bytes = core.plain;
  capture.stored_bytes = core.stored;
  capture.omitted_bytes = core.omitted;
  record.files.core = kCoreFile;
  return Sync(file);
}

/// The record of a crash whose core cannot be kept: what there is of the file is removed, to make room for
/// the record.
void GiveUpCore(const Fd& dir, CrashRecord& record, const Error& why) {
  ::unlinkat(dir.get(), kCoreFile, 0);
  record.files.core.clear();
  record.capture.method = CaptureMethod::kNone;
  record.capture.core_bytes = record.capture.stored_bytes = record.capture.omitted_bytes = 0;
  record.capture.outcome = CrashOutcome::kFailed;
  record.capture.reason = why.what;
}

/// Makes core.zst good and learns from its head. It may even be whole: only the record was still to be
/// written.
Result<void> RecoverStoredCore(const Fd& dir, CrashRecord& record) {
  const Fd file = OBIT_TRY(OpenAt(dir, kCoreFile, O_RDWR));
  const StoredCore core = OBIT_TRY(RecoverCore(file));
  if (core.plain == 0) return Refuse(ENODATA, "no part of the core had been stored");
  CoreReader reader = OBIT_TRY(CoreReader::Open(OBIT_TRY(Duplicate(file))));
  const CoreHead head = OBIT_TRY(ReadStoredHead(reader));
  ApplyCoreNotes(ParseCoreNotes(head.notes(), head.elf_class(), head.machine()), record);
  CrashRecord::Capture& capture = record.capture;
  if (capture.method == CaptureMethod::kNone) capture.method = CaptureMethod::kStream;
  capture.promised_bytes = head.core_bytes();
  const bool whole = head.complete() && core.plain >= capture.promised_bytes;
  capture.outcome = whole ? CrashOutcome::kFull : CrashOutcome::kTruncated;
  if (whole) capture.reason.clear();
  capture.core_bytes = core.plain;
  capture.stored_bytes = core.stored;
  capture.omitted_bytes = core.omitted;
  OBIT_TRY(CheckNotShifted(capture));
  record.files.core = kCoreFile;
  return Sync(file);
}

}  // namespace

void ReleaseConnection(Fd& connection) {
  if (!connection) return;
  ::shutdown(connection.get(), SHUT_RDWR);  // a pipe has no such call: there, closing is all
  connection.Reset();
}

Result<void> WriteRecord(const Fd& dir, const CrashRecord& record) {
  OBIT_TRY(WriteFileAtomically(dir, kRecordFile, RecordToJson(record), 0600));
  ::unlinkat(dir.get(), kBegunFile, 0);
  return Sync(dir);
}

Result<CrashRecord> Capture(CaptureJob job, std::atomic<std::uint64_t>& progress,
                            const std::function<void()>& released) {
  CrashRecord record = OBIT_TRY(LoadRecord(job.dir, kBegunFile));
  CoreHead head;
  Result<void> captured;
  if (job.offer)
    captured = AskForCore(job.connection, *job.offer, record.capture.detail,
                          MonotonicNow() + job.deadlines.progress.count());
  if (captured) captured = CaptureCore(job, head, record, progress, released);
  if (job.connection) {  // it failed before the release
    ReleaseConnection(job.connection);
    record.capture.held_seconds = static_cast<double>(MonotonicNow() - job.accepted) / 1e9;
    released();
  }
  if (!captured) GiveUpCore(job.dir, record, captured.error());
  ApplyCoreNotes(ParseCoreNotes(head.notes(), head.elf_class(), head.machine()), record);
  if (job.exe) KeepExecutable(job.exe, job.exe_reachable, job.dir, job.writer, record);

  if (auto written = WriteRecord(job.dir, record); !written) {
    if (written.error().code != ENOSPC && written.error().code != EDQUOT)
      return std::unexpected(written.error());
    // A full disk: the record is worth more than the core.
    GiveUpCore(job.dir, record, written.error());
    ::unlinkat(job.dir.get(), kExeFile, 0);
    record.files.exe.clear();
    OBIT_TRY(WriteRecord(job.dir, record));
  }
  return record;
}

Result<CrashRecord> Recover(const Fd& dir, const std::string& reason) {
  if (auto complete = LoadRecord(dir, kRecordFile)) {
    ::unlinkat(dir.get(), kBegunFile, 0);
    return complete;
  }
  CrashRecord record = OBIT_TRY(LoadRecord(dir, kBegunFile));
  ::unlinkat(dir.get(), kExeFile, 0);  // may be half-written
  record.capture.reason = reason;
  if (const auto recovered = RecoverStoredCore(dir, record); !recovered) {
    GiveUpCore(dir, record, recovered.error());
    record.capture.reason = reason;
    if (recovered.error().code == EBADMSG) record.capture.reason += "; " + recovered.error().what;
  }
  OBIT_TRY(WriteRecord(dir, record));
  return record;
}

}  // namespace obit
