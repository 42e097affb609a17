#include "stored_file.h"

#include "render/progress.h"
#include "store/core_reader.h"
#include "store/recover.h"
#include "store/selector.h"
#include "store/unpack.h"

namespace obit {

Result<void> CheckHasCore(const ChosenCrash& crash) {
  if (!crash.record.files.core.empty()) {
    OBIT_TRY_IN(CheckNotShifted(crash.record.capture), "crash {}", ShortId(crash.location));
    return {};
  }
  const CrashRecord::Capture& capture = crash.record.capture;
  std::string text =
      fmt::format("crash {} has no core: {}", ShortId(crash.location),
                  capture.outcome == CrashOutcome::kEvent ? "only the event was kept" : "its capture failed");
  if (!capture.reason.empty()) text += fmt::format(" ({})", capture.reason);
  return Refuse(ENODATA, "{}", text);
}

Result<void> UnpackStoredFile(const Store& store, const CrashLocation& crash, const std::string& name,
                              const Fd& out) {
  CoreReader reader =
      OBIT_TRY_IN(CoreReader::Open(OBIT_TRY(store.OpenFile(crash, name))), "crash {}", crash.id);
  Progress progress("unpacking " + name);
  OBIT_TRY_IN(UnpackCore(reader, out, [&](std::uint64_t done) { progress.Update(done, reader.size()); }),
              "unpack {} of crash {}", name, crash.id);
  return {};
}

}  // namespace obit
