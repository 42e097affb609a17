#include "capture/import.h"

#include <algorithm>
#include <thread>

#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "common.h"
#include "render/progress.h"
#include "render/words.h"
#include "store/selector.h"
#include "verbs.h"

namespace obit {

ExitCode Import(const std::string& store_path, const std::vector<std::string>& files) {
  const CoreWriter::Options options{.threads = std::max(std::thread::hardware_concurrency(), 1U)};
  ExitCode code = ExitCode::kDone;
  for (const std::string& file : files) {
    const auto crash = [&] {
      Progress progress("importing " + EscapeForTerminal(file));
      return ImportCore([&] { return Store::Create(store_path); }, file, options,
                        [&](std::uint64_t done, std::uint64_t total) { progress.Update(done, total); });
    }();
    if (!crash) {
      code = Failed(crash.error());
      continue;
    }
    if (crash->unnumbered)
      Log(Severity::kWarning, "{}: it has no commit number until obitd starts again: {}", crash->location.id,
          crash->unnumbered->what);
    const auto record = [&]() -> Result<CrashRecord> {
      return OBIT_TRY(Store::Open(store_path)).Load(crash->location);
    }();
    if (!record) {
      code = Failed(record.error());
      continue;
    }
    const CrashSummary summary = Summarize(crash->location, *record);
    Print(fmt::format("{}  {}  {}\n", EscapeForTerminal(ShortName(summary)), DescribeSignal(record->signal),
                      DescribeCapture(record->capture)));
  }
  return code;
}

}  // namespace obit
