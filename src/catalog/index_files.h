#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

inline constexpr const char* kIndexFile = "index.db";

/// Makes sure, for the whole process, that SQLite comes near no file but those of an index. Call it before a
/// database is opened; again, it does nothing.
///
/// A database can have files beside it that SQLite acts by when it opens it, and whoever owns the folder can
/// put them there. A rollback journal names a "super-journal", any file of the system, which is deleted once
/// the journal was played back: so a hostile store had root delete what its owner liked. A FIFO in the place
/// of one is waited for. And a log (-wal) that is another name of a foreign file would be written to. An
/// index needs none of that: it is in WAL mode from its beginning, and can be made anew.
void GuardIndexFiles();

/// The "file system" (sqlite.org/vfs.html) that GuardIndexFiles() makes for an IndexFolder.
inline constexpr const char* kIndexFileSystem = "obit";

/// The folder of a store as SQLite knows it. SQLite takes no descriptor, and opens the files of a database
/// one by one, each by its path, whenever it needs it. Whoever owns a folder above the store can put another
/// one in its place meanwhile: so SQLite gets a path that is none, and what it does there is done in the
/// folder that was opened. (/proc/self/fd/N would not do: SQLite reads what a link says, and takes that.)
struct IndexFolder {
  /// The same for one folder, whoever opens it: connections of one process share what they know of a file,
  /// its path too.
  std::string path;
  std::shared_ptr<const Fd> opened;  ///< to be kept as long as the database
};
[[nodiscard]] Result<IndexFolder> ShowFolder(const Fd& folder);

}  // namespace obit
