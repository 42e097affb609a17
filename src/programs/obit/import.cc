#include "capture/import.h"

#include <algorithm>
#include <thread>

#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "catalog/numbers.h"
#include "catalog/selector.h"
#include "catalog/summary.h"
#include "common.h"
#include "render/progress.h"
#include "render/words.h"
#include "verbs.h"

namespace obit {

ExitCode Import(const std::string& store_path, const std::vector<std::string>& files) {
  const ImportTarget target{.store = [&] { return Store::Create(store_path); },
                            .numbers = [](const Store& store) { return OpenNumbers(store, 1, true); }};
  const CoreWriter::Options options{.threads = std::max(std::thread::hardware_concurrency(), 1U)};
  ExitCode code = ExitCode::kDone;
  for (const std::string& file : files) {
    const auto crash = [&] {
      Progress progress("importing " + EscapeForTerminal(file));
      return ImportCore(target, file, options,
                        [&](std::uint64_t done, std::uint64_t total) { progress.Update(done, total); });
    }();
    if (!crash) {
      code = Failed(crash.error());
      continue;
    }
    const auto& [record, committed, unsynced] = *crash;
    if (committed.unnumbered)
      Log(Severity::kWarning, "{}: it has no commit number until obitd starts again: {}", record.id,
          committed.unnumbered->what);
    if (unsynced)
      Log(Severity::kWarning, "{}: it may not survive a power cut: {}", record.id, unsynced->what);
    if (!record.capture.reason.empty()) Log(Severity::kWarning, "{}: {}", record.id, record.capture.reason);
    const CrashSummary summary = Summarize(committed.location, record);
    Print(fmt::format("{}  {}  {}\n", EscapeForTerminal(ShortName(summary)), DescribeSignal(record.signal),
                      DescribeCapture(record.capture)));
  }
  return code;
}

}  // namespace obit
