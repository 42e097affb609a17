#include "capture/import.h"

#include <algorithm>
#include <thread>

#include "base/text.h"
#include "common.h"
#include "render/progress.h"
#include "render/words.h"
#include "store/selector.h"
#include "verbs.h"

namespace obit {

ExitCode Import(const std::string& store_path, const std::vector<std::string>& files) {
  const auto store = Store::Create(store_path);
  if (!store) return Failed(store.error());
  const CoreWriter::Options options{.threads = std::max(std::thread::hardware_concurrency(), 1U)};
  ExitCode code = ExitCode::kDone;
  for (const std::string& file : files) {
    const auto crash = [&] {
      Progress progress("importing " + EscapeForTerminal(file));
      return ImportCore(*store, file, options,
                        [&](std::uint64_t done, std::uint64_t total) { progress.Update(done, total); });
    }();
    if (!crash) {
      code = Failed(crash.error());
      continue;
    }
    const auto record = store->Load(*crash);
    if (!record) {
      code = Failed(record.error());
      continue;
    }
    const CrashSummary summary = Summarize(*crash, *record);
    Print(fmt::format("{}  {}  {}\n", EscapeForTerminal(ShortName(summary)), DescribeSignal(record->signal),
                      DescribeCapture(record->capture)));
  }
  return code;
}

}  // namespace obit
