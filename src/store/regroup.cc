#include "store/regroup.h"

#include "crash/fingerprint.h"

namespace obit {

Result<std::size_t> Regroup(const Store& store) {
  std::size_t count = 0;
  for (const std::string& day : OBIT_TRY(store.Days()))
    for (const CrashLocation& crash : OBIT_TRY(store.CrashesOf(day))) {
      auto report = store.LoadReport(crash);
      if (!report || report->fingerprint.version >= Report::Fingerprint::kVersion) continue;
      const auto record = store.Load(crash);
      if (!record) continue;
      report->fingerprint = FindFingerprint(*report, *record);
      if (store.WriteReport(crash, *report)) ++count;
    }
  return count;
}

}  // namespace obit
