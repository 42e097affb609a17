#include "base/text.h"
#include "common.h"
#include "render/units.h"
#include "store/selector.h"
#include "verbs.h"

namespace obit {

ExitCode Remove(const std::string& store_path, const std::vector<std::string>& selectors, bool force) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto list = ListStore(*store);
  if (!list) return list.error();
  // Those that cannot be read can be removed as well, by id. They come first: "@1" stays the newest of the
  // others.
  std::vector<CrashSummary> crashes;
  for (const BrokenCrash& broken : list->broken) crashes.push_back({.location = broken.location});
  std::ranges::move(list->crashes, std::back_inserter(crashes));

  const auto chosen = ChooseEach(crashes, selectors);
  if (!chosen) return chosen.error();
  ExitCode code = ExitCode::kDone;
  for (const auto& [location, crash] : *chosen) {
    if (!force && store->PresenceOf(location).pinned)
      code = Failed(Error{EBUSY, fmt::format("{} is pinned: obit unpin it, or --force", ShortName(*crash))});
    else if (const auto removed = store->Remove(location); !removed)
      code = Failed(removed.error());
    else
      Print(fmt::format("removed {}, {} freed\n", EscapeForTerminal(ShortName(*crash)),
                        FormatBytes(crash->stored_bytes)));
  }
  return code;
}

}  // namespace obit
