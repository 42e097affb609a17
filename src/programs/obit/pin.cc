#include "base/text.h"
#include "catalog/selector.h"
#include "common.h"
#include "verbs.h"

namespace obit {

ExitCode Pin(const std::string& store_path, const std::vector<std::string>& selectors, bool pinned) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  const auto list = ListStore(*store);
  if (!list) return list.error();
  const auto chosen = ChooseEach(list->crashes, selectors);
  if (!chosen) return chosen.error();
  ExitCode code = ExitCode::kDone;
  for (const auto& [location, crash] : *chosen) {
    if (const auto done = store->Pin(location, pinned); !done)
      code = Failed(done.error());
    else
      Print(fmt::format("{} {}\n", pinned ? "pinned" : "unpinned", EscapeForTerminal(ShortName(*crash))));
  }
  return code;
}

}  // namespace obit
