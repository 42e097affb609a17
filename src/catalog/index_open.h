#pragma once

#include <chrono>

#include "base/result.h"
#include "catalog/sqlite.h"
#include "store/store.h"

namespace obit {

/// Opens index.db, or makes it: with the tables of the present version, and in WAL mode. One that is damaged,
/// or of another version, is made anew. What the file could do by itself is switched off: it may be another
/// user's than root's, who looks into it. EACCES, EROFS: it cannot be used; EBUSY: another process had it for
/// longer than `patience`.
[[nodiscard]] Result<DatabaseOwner> OpenIndexFile(const Store& store, std::chrono::milliseconds patience);

/// Removes it, with the files that SQLite has beside it, if it is still the one that `judged` has open: what
/// another process has made in its place stays.
void RemoveIndexFiles(const Store& store, sqlite3* judged);

}  // namespace obit
