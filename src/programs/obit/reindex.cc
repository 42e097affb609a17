#include "common.h"
#include "render/units.h"
#include "verbs.h"

namespace obit {

ExitCode Reindex(const std::string& store_path) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto index = Index::Open(*store);
  if (!index) return Failed(index.error());
  const auto count = index->Rebuild(*store);
  if (!count) return Failed(count.error());
  Print(fmt::format("{} indexed.\n", FormatCount(*count, "crash")));
  return ExitCode::kDone;
}

}  // namespace obit
