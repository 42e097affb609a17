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
/// Opens them for a process that takes so many at once, as far as their files tell. The crashes of the store
/// tell more: OpenNumbers (catalog/numbers.h) looks at both.
[[nodiscard]] StoreNumbers ReadNumbers(const Store& store, std::uint64_t range, bool waits);

/// What became of a commit.
struct Committed {
  CrashLocation location;
  std::uint64_t number = 0;         ///< CommitMark::number; 0: it got none
  std::optional<Error> unnumbered;  ///< why it got no commit number: try NumberCommitted later
};
/// Store::Commit with a number. Numbers are given and crashes renamed under one lock, so nobody who has seen
/// a number finds a lower one later that was not there before. Without a number the crash is committed all
/// the same.
[[nodiscard]] Result<Committed> CommitNumbered(const Store& store, Sequence& committed,
                                               const CrashRecord& record);
/// Gives a number to a crash that was committed without. EEXIST: it has one. ENOENT: it was removed. Fails
/// also where it cannot be told whether it has one.
[[nodiscard]] Result<void> NumberCommitted(const Store& store, Sequence& committed,
                                           const CrashLocation& crash);

}  // namespace obit
