#pragma once

#include <sqlite3.h>

namespace obit {

/// Makes sure, for the whole process, that it outlives who cuts index.db-shm. Processes that have an index
/// open share that file as memory, and a page of it that is beyond the end of the file is SIGBUS for all of
/// them: so whoever owns the store could end root's obit, and, by mistake, his own obitd. With this an empty
/// page is put there, which this process has for itself. SQLite finds no header in it, and makes one from the
/// log.
///
/// `files` is SQLite's, before the first database is opened. SIGBUS for anything else does what it did.
void GuardIndexMemory(sqlite3_vfs* files);

/// That has happened to a database that is open. What it says may not be what others wrote, what it writes
/// may be put over that, and whatever it waits for may never come: it is to be closed, and made anew.
[[nodiscard]] bool IsIndexMemoryCut();

}  // namespace obit
