#include "capture/trace.h"

#include <cerrno>

#include <sys/mman.h>

#include "base/clock.h"
#include "capture/answer.h"
#include "capture/capture.h"
#include "capture/minimal.h"
#include "kernel/mappings.h"

namespace obit {
namespace {

Result<void> CheckSize(const ProcessMemory& memory) {
  std::uint64_t bytes = 0;
  for (const Mapping& mapping : OBIT_TRY(ReadMappings(memory.maps)))
    if (mapping.inode == 0 && !mapping.shared) bytes += mapping.end - mapping.begin;
  if (bytes > TraceJob::kMemoryMax) return Refuse(EFBIG, "the process has {} bytes of memory", bytes);
  return {};
}

Result<Fd> MakeFile(const TraceJob& job) {
  if (!job.memory) return Refuse(ENODATA, "its memory could not be had: {}", job.no_memory);
  OBIT_TRY(CheckSize(*job.memory));
  Fd file(::memfd_create("trace", MFD_CLOEXEC));
  if (!file) return Fail(errno, "make a file in memory");
  return file;
}

/// Until nothing of the process is needed any more.
Result<void> Acquire(const TraceJob& job, CoreStream& stream, CoreWriter& writer,
                     std::atomic<std::uint64_t>& progress) {
  CoreHead head = HeadForMinimal();
  CrashRecord::Capture capture;
  return CaptureMinimal(head, stream, writer, &*job.memory, job.core_max, progress, capture);
}

}  // namespace

Result<Fd> CaptureTrace(TraceJob job, std::atomic<std::uint64_t>& progress,
                        const std::function<void()>& released) {
  const std::int64_t deadline = MonotonicNow() + job.time.count();
  auto file = MakeFile(job);
  Result<CoredumpAck> agreed;
  if (job.offer)
    agreed = AskFor(file ? Detail::kMinimal : Detail::kEvent, job.connection, *job.offer, deadline);
  if (agreed && !file) agreed = std::unexpected(file.error());
  if (!agreed) {
    ReleaseConnection(job.connection);
    released();
    return std::unexpected(std::move(agreed).error());
  }
  job.writer.written = &progress;
  CoreWriter writer(*file, job.writer);
  CoreStream stream(job.connection, {.progress = job.time, .whole = job.time}, progress);
  Result<void> captured = Acquire(job, stream, writer, progress);
  ReleaseConnection(job.connection);
  writer.CompressFetched();
  released();
  OBIT_TRY(std::move(captured));
  if (OBIT_TRY(writer.Finish()).plain == 0) return Refuse(ENODATA, "nothing came of it");
  if (const auto failure = writer.failure()) return std::unexpected(*failure);
  return std::move(*file);
}

}  // namespace obit
