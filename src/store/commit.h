#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "crash/record.h"
#include "store/sequence.h"
#include "store/store.h"

namespace obit {

/// Both kinds of numbers of a store (docs/store-format.md): those that crashes get when they are accepted,
/// and when they come into crashes/.
struct StoreNumbers {
  Sequence accepted, committed;
  std::vector<std::string> problems;  ///< what was odd with them, for the log
};
/// Opens them for a process that takes so many at once. They go on behind those that the index knows: crashes
/// of another store may have been copied into this one. Where the files are lost or damaged, the store is
/// listed.
[[nodiscard]] StoreNumbers OpenNumbers(const Store& store, std::uint64_t range, bool waits);

/// What became of a commit.
struct Committed {
  CrashLocation location;
  std::optional<Error> unnumbered;  ///< why it got no commit number: try NumberCommitted later
};
/// Store::Commit with a number. Numbers are given and crashes renamed under one lock, so nobody who has seen
/// a number finds a lower one later that was not there before. Without a number the crash is committed all
/// the same.
[[nodiscard]] Result<Committed> CommitNumbered(const Store& store, Sequence& committed,
                                               const CrashRecord& record);
/// Gives a number to a crash that was committed without. EEXIST: it has one. ENOENT: it was removed.
[[nodiscard]] Result<void> NumberCommitted(const Store& store, Sequence& committed,
                                           const CrashLocation& crash);

}  // namespace obit
