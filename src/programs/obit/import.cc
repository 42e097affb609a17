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

namespace {

/// A store that may be new: then it is gone again if nothing is imported.
class StoreForImport {
 public:
  explicit StoreForImport(const std::string& path) {
    is_new_ = ::access((path + "/crashes").c_str(), F_OK) < 0;
    for (std::string missing = path; !missing.empty() && ::access(missing.c_str(), F_OK) < 0;) {
      while (missing.size() > 1 && missing.back() == '/') missing.pop_back();
      made_.push_back(missing);
      const std::size_t slash = missing.rfind('/');
      missing.resize(slash == std::string::npos ? 0 : slash);
    }
    store_ = Store::Create(path);
  }
  StoreForImport(StoreForImport&&) = delete;
  ~StoreForImport() {
    if (keep_ || !is_new_ || !store_) return;
    store_->RemoveIfUnused();
    for (const std::string& folder : made_)
      if (::rmdir(folder.c_str()) < 0) return;
  }
  void Keep() { keep_ = true; }
  [[nodiscard]] const Result<Store>& get() const { return store_; }

 private:
  bool is_new_ = false, keep_ = false;
  std::vector<std::string> made_;  // the innermost first
  Result<Store> store_ = Refuse(ENOENT, "not opened");
};

}  // namespace

ExitCode Import(const std::string& store_path, const std::vector<std::string>& files) {
  StoreForImport made(store_path);
  const auto& store = made.get();
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
    made.Keep();
    if (crash->unnumbered)
      Log(Severity::kWarning, "{}: it has no commit number until obitd starts again: {}", crash->location.id,
          crash->unnumbered->what);
    const auto record = store->Load(crash->location);
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
