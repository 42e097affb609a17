#include "catalog/list.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "base/limits.h"
#include "catalog/index.h"
#include "catalog/read_folders.h"

namespace obit {

Result<CrashList> ListCrashes(const Store& store) {
  if (auto index = Index::Open(store))
    if (auto list = index->List(store)) return list;
  return ListFolders(store);
}

Result<CrashList> ListFolders(const Store& store) {
  FolderContents contents;
  CrashList list;
  for (const std::string& day : OBIT_TRY(store.Days())) {
    auto crashes = store.CrashesOf(day);
    if (crashes)
      OBIT_TRY(ReadFolders(store, day, *crashes, contents));
    else if (IsShortage(crashes.error()))
      return std::unexpected(std::move(crashes).error());
    else
      list.unreadable.push_back({day, std::move(crashes).error()});
  }
  list.crashes = std::move(contents.crashes);
  Tell(std::move(contents), list);
  std::ranges::sort(list.crashes, {}, [](const CrashSummary& crash) {
    return std::tie(crash.number, crash.time, crash.location.id, crash.location.day);
  });
  return list;
}

void DropRemoved(const Store& store, std::vector<CrashSummary>& crashes) {
  std::erase_if(crashes, [&](CrashSummary& crash) {
    const Store::Presence presence = store.PresenceOf(crash.location);
    crash.pinned = presence.pinned;
    if (presence.repeated)
      if (const auto repeats = store.LoadRepeats(crash.location)) {
        crash.repeats = repeats->crashes;
        crash.last_repeat = repeats->last;
      }
    return !presence.exists;
  });
}

}  // namespace obit
