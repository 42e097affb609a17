#include "catalog/summary.h"

#include <sys/stat.h>

#include "base/text.h"
#include "crash/identity.h"
#include "present/cause_sentence.h"

namespace obit {
namespace {

/// What a person would say that it belonged to: of the systemd of a user rather than user@1000.service.
std::string UnitOf(const CrashRecord& record) {
  const Identity identity = IdentityOf(record.process.cgroup);
  for (const std::string* name : {&identity.user_unit, &identity.container, &identity.pod, &identity.unit})
    if (!name->empty()) return *name;
  return "";
}

}  // namespace

CrashSummary Summarize(const CrashLocation& location, const CrashRecord& record) {
  return {.location = location,
          .number = record.number <= kNumberMax ? record.number : 0,
          .time = record.time,
          .pid = record.process.pid,
          .uid = record.process.uid,
          .comm = record.process.comm,
          .exe = record.process.exe,
          .signal = record.signal.number,
          .detail = record.capture.detail,
          .outcome = record.capture.outcome,
          .core_bytes = record.capture.core_bytes,
          .stored_bytes = record.capture.stored_bytes,
          .reason = record.capture.reason,
          .unit = UnitOf(record),
          .disk_bytes = record.capture.stored_bytes,
          .retention = record.capture.handling.retention};
}

void AddProgram(const Store& store, const CrashRecord& record, CrashSummary& summary) {
  if (record.files.exe.empty()) return;
  struct stat status{};
  const auto program = store.OpenFile(summary.location, kExeFile);
  if (program && ::fstat(program->get(), &status) == 0)
    summary.disk_bytes += static_cast<std::uint64_t>(status.st_size);
}

void AddReport(CrashSummary& summary, const Report& report) {
  summary.kind = report.cause.kind;
  summary.cause = CauseSentence(report.cause);
  summary.guess = report.cause.guess;
  if (const auto value = ParseUnsigned(report.fingerprint.value, 16))
    summary.group = {report.fingerprint.version, *value};
}

}  // namespace obit
