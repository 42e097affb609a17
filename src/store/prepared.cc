#include "store/prepared.h"

#include <sys/stat.h>

#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/try_twice.h"
#include "crash/record.h"
#include "store/access.h"
#include "store/folder.h"
#include "store/ownership.h"
#include "store/store.h"

namespace obit {
namespace {

Result<PreparedCrash> TryPrepare(const Fd& incoming) {
  PreparedCrash prepared{.name = NewCrashId()};
  if (::mkdirat(incoming.get(), prepared.name.c_str(), kPrivateFolder) < 0)
    return Fail(errno, "make a crash folder");
  const auto fill = [&]() -> Result<void> {
    prepared.dir = OBIT_TRY(OpenInside(incoming, prepared.name, O_RDONLY | O_DIRECTORY));
    OBIT_TRY(LockFolder(prepared.dir, prepared.name));
    OBIT_TRY(GiveToOwner(incoming, prepared.dir));
    prepared.core =
        OBIT_TRY_IN(MakePrivateFile(prepared.dir, kCoreFile, O_RDWR | O_EXCL), "make {}", kCoreFile);
    prepared.minimal =
        OBIT_TRY_IN(MakePrivateFile(prepared.dir, kMinimalFile, O_RDWR | O_EXCL), "make {}", kMinimalFile);
    prepared.begun =
        OBIT_TRY_IN(MakePrivateFile(prepared.dir, kBegunFile, O_WRONLY | O_EXCL), "make {}", kBegunFile);
    return {};
  };
  if (auto filled = fill(); !filled) {
    DropPrepared(incoming, prepared);
    return std::unexpected(std::move(filled).error());
  }
  return prepared;
}

/// True if `dir` was prepared for the crash `id`, or became it.
Result<bool> IsOf(const Fd& dir, const std::string& id) {
  for (const char* name : {kBegunFile, kRecordFile}) {
    const auto record = TryTwice([&] { return LoadRecord(dir, name); });
    if (record && record->id == id) return true;
    if (!record && IsShortage(record.error())) return std::unexpected(record.error());
  }
  return false;
}

}  // namespace

Result<PreparedCrash> PrepareCrash(const Fd& incoming) {
  // Who looks for abandoned folders may have found this one before it was locked. And whatever it was: a
  // crash that comes while there is no folder loses its core.
  for (int tries = 3;; --tries)
    if (auto prepared = TryPrepare(incoming); prepared || tries == 1) return prepared;
}

Result<void> NamePrepared(const Fd& incoming, const PreparedCrash& prepared, const std::string& id) {
  return MoveFolder(incoming, prepared.name, incoming, id);
}

void DropPrepared(const Fd& incoming, const PreparedCrash& prepared) {
  if (prepared.dir)
    for (const char* name : {kCoreFile, kMinimalFile, kBegunFile}) ::unlinkat(prepared.dir.get(), name, 0);
  ::unlinkat(incoming.get(), prepared.name.c_str(), AT_REMOVEDIR);
}

Result<FoundIncoming> FindIncoming(const Fd& incoming, const std::string& id) {
  auto named = OpenInside(incoming, id, O_RDONLY | O_DIRECTORY);
  if (named) return FoundIncoming{id, std::move(*named)};
  if (named.error().code != ENOENT) return std::unexpected(std::move(named).error());
  for (const std::string& name : OBIT_TRY_IN(ListDirectory(incoming), "incoming crashes")) {
    if (!IsCrashId(name)) continue;
    auto dir = TryTwice([&] { return OpenInside(incoming, name, O_RDONLY | O_DIRECTORY); });
    if (!dir && IsShortage(dir.error())) return std::unexpected(std::move(dir).error());
    if (dir && OBIT_TRY(IsOf(*dir, id))) return FoundIncoming{name, std::move(*dir)};
  }
  return std::unexpected(std::move(named).error());
}

Result<Fd> TakeIncoming(const Fd& incoming, const std::string& id, bool owner_killed) {
  FoundIncoming found = OBIT_TRY(FindIncoming(incoming, id));
  if (auto locked = LockFolder(found.dir, found.name);
      !locked && !(owner_killed && locked.error().code == EBUSY))
    return std::unexpected(std::move(locked).error());
  if (found.name != id) OBIT_TRY(MoveFolder(incoming, found.name, incoming, id));
  return std::move(found.dir);
}

}  // namespace obit
