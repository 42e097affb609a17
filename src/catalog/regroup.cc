#include "catalog/regroup.h"

#include <utility>

#include "base/limits.h"
#include "crash/fingerprint.h"
#include "crash/runtime_frames.h"

namespace obit {
namespace {

/// True if its group is another one now. ENOENT: it has no report, or was removed.
Result<bool> RegroupOne(const Store& store, const CrashLocation& crash) {
  auto report = OBIT_TRY(store.LoadReport(crash));
  if (report.fingerprint.version >= Report::Fingerprint::kVersion) return false;
  const auto record = OBIT_TRY(store.Load(crash));
  report.fingerprint = FindFingerprint(report, record);
  if (!report.stacks.empty()) {
    const auto& frames = report.stacks.front().frames;
    const std::size_t own = CountRuntimeFrames(frames, report.modules, IsSentByItself(record));
    report.own_frame.reset();
    if (own < frames.size()) report.own_frame = static_cast<std::uint32_t>(own);
  }
  OBIT_TRY(store.WriteReport(crash, report, OwnerOf(record)));
  return true;
}

}  // namespace

Result<Regrouped> Regroup(const Store& store) {
  Regrouped all;
  for (const std::string& day : OBIT_TRY(store.Days())) {
    const auto crashes = store.CrashesOf(day);
    if (!crashes && IsShortage(crashes.error())) return std::unexpected(crashes.error());
    if (!crashes) continue;  // the list tells
    for (const CrashLocation& crash : *crashes) {
      auto regrouped = RegroupOne(store, crash);
      if (regrouped) {
        if (*regrouped) ++all.done;
      } else if (regrouped.error().code != ENOENT) {
        ++all.failed;
        if (!all.why) all.why = std::move(regrouped).error();
      }
    }
  }
  return all;
}

}  // namespace obit
