#include "catalog/regroup.h"

#include <utility>

#include "base/limits.h"
#include "crash/regroup.h"

namespace obit {
namespace {

/// True if its group is another one now. ENOENT: it has no report, or was removed.
Result<bool> RegroupOne(const Store& store, const CrashLocation& crash) {
  auto report = OBIT_TRY(store.LoadReportAsWritten(crash));
  const auto record = OBIT_TRY(store.Load(crash));
  if (!obit::Regroup(report, record)) return false;
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
