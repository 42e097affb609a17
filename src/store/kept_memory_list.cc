#include "store/kept_memory_list.h"

#include <sys/file.h>

#include "base/inside.h"
#include "base/io.h"

namespace obit {

Result<std::vector<CrashRecord>> ListKeptMemory(const Store& store) {
  const Fd incoming = OBIT_TRY(OpenInside(store.root(), "incoming", O_RDONLY | O_DIRECTORY));
  std::vector<CrashRecord> kept;
  for (const std::string& name : OBIT_TRY(ListDirectory(incoming))) {
    if (!IsCrashId(name)) continue;
    const auto dir = OpenInside(incoming, name, O_RDONLY | O_DIRECTORY);
    // Its record is there once it is copied.
    if (!dir || LoadRecord(*dir, kRecordFile)) continue;
    // Whoever keeps it has the folder locked.
    if (::flock(dir->get(), LOCK_SH | LOCK_NB) == 0) continue;
    auto begun = LoadRecord(*dir, kBegunFile);
    if (begun && begun->id == name && !begun->capture.kept_because.empty()) kept.push_back(*std::move(begun));
  }
  return kept;
}

}  // namespace obit
