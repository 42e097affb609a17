#pragma once

// How the files of this layer find their way in a store: for them only.

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file_time.h"
#include "base/inside.h"
#include "store/access.h"
#include "store/store.h"

namespace obit {

[[nodiscard]] inline Result<Fd> OpenFolder(const Fd& dir, const std::string& name) {
  return OpenInside(dir, name, O_RDONLY | O_DIRECTORY);
}

/// The only way into a folder whose name a caller gives.
inline Result<Fd> OpenDay(const Fd& crashes, const std::string& day) {
  if (!IsDay(day)) return Refuse(EINVAL, "\"{}\" is no day of a store", day);
  return OpenFolder(crashes, day);
}
inline Result<Fd> OpenDayOf(const Fd& crashes, const CrashLocation& crash) {
  if (!IsLocation(crash)) return Refuse(EINVAL, "\"{}/{}\" is no crash of a store", crash.day, crash.id);
  return OpenFolder(crashes, crash.day);
}

/// True if nothing of the store is there, but nothing at all or something else, as a mount: whoever put that
/// there keeps nobody from the rest.
inline bool IsNothing(const Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR || error.code == ELOOP || error.code == EXDEV;
}

inline std::int64_t ModificationTime(const struct stat& status) { return NanosecondsOf(status.st_mtim); }

/// Whom the crash of a folder belongs to; nobody, where its record cannot be read.
inline CrashOwner OwnerIn(const Fd& dir) {
  const auto record = LoadRecord(dir, kRecordFile);
  return record ? OwnerOf(*record) : std::nullopt;
}

}  // namespace obit
