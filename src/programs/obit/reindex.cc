#include "common.h"
#include "render/units.h"
#include "store/regroup.h"
#include "verbs.h"

namespace obit {

ExitCode Reindex(const std::string& store_path) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto index = Index::Open(*store);
  if (!index) return Failed(index.error());
  const auto regrouped = Regroup(*store);
  if (!regrouped) return Failed(regrouped.error());
  const auto count = index->Rebuild(*store);
  if (!count) return Failed(count.error());
  Print(fmt::format("{} indexed.\n", FormatCount(*count, "crash")));
  if (*regrouped > 0) Print(fmt::format("{} put into a group of today.\n", FormatCount(*regrouped, "crash")));
  return ExitCode::kDone;
}

}  // namespace obit
