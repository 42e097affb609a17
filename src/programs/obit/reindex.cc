#include "base/log.h"
#include "catalog/index.h"
#include "catalog/regroup.h"
#include "common.h"
#include "render/units.h"
#include "store/access.h"
#include "verbs.h"

namespace obit {

ExitCode Reindex(const std::string& store_path) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto index = Index::Open(*store);
  if (!index) return Failed(index.error());
  const auto regrouped = Regroup(*store);
  if (!regrouped) return Failed(regrouped.error());
  const auto list = index->Rebuild(*store);
  if (!list) return Failed(list.error());
  Print(fmt::format("{} indexed.\n", FormatCount(list->crashes.size(), "crash")));
  if (regrouped->done > 0)
    Print(fmt::format("{} put into a group of today.\n", FormatCount(regrouped->done, "crash")));
  ExitCode code = ExitCode::kDone;
  for (const BrokenCrash& partial : list->partial) code = Failed(partial.why);
  for (const UnreadableDay& day : list->unreadable) code = Failed(day.why);
  for (const BrokenCrash& broken : list->broken)  // a damaged one stays so: that is for obit list to tell
    if (!SaysThereIsNone(broken.why)) code = Failed(broken.why);
  if (!regrouped->why) return code;
  Log(Severity::kWarning, "{} may not be in a group of today, as the first of them: {}",
      FormatCount(regrouped->failed, "crash"), regrouped->why->what);
  return ExitCode::kFailed;
}

}  // namespace obit
