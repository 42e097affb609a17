#include "store/commit.h"

#include <utility>

#include "base/inside.h"
#include "base/io.h"
#include "base/try_twice.h"
#include "crash/commit_mark.h"
#include "store/access.h"
#include "store/ownership.h"

namespace obit {
namespace {

/// Puts the number beside a crash that nobody can reach yet. It is not synced, which would cost as much as
/// all the rest of a commit: a crash that loses it in a power cut has none, until the index is made anew.
Result<void> WriteMark(const Fd& dir, const CrashRecord& record, std::uint64_t number) {
  ::unlinkat(dir.get(), kCommitFile, 0);  // of a process that was killed between number and rename
  const Fd file = OBIT_TRY(MakePrivateFile(dir, kCommitFile, O_WRONLY | O_EXCL));
  OBIT_TRY(WriteAll(file, CommitToJson({record.id, number})));
  (void)TryTwice([&] { return ShareFile(file, OwnerOf(record)); });  // else it is for root only
  return {};
}

}  // namespace

StoreNumbers ReadNumbers(const Store& store, std::uint64_t range, bool waits) {
  return {Sequence(store, {.name = "accepted", .range = range, .waits = waits}),
          Sequence(store, {.name = "committed", .range = range, .survives_power_cut = true, .waits = waits}),
          {}};
}

Result<Committed> CommitNumbered(const Store& store, Sequence& committed, const CrashRecord& record) {
  const Fd dir = OBIT_TRY_IN(OpenInside(store.root(), "incoming/" + record.id, O_RDONLY | O_DIRECTORY),
                             "commit crash {}", record.id);
  Fd lock;  // until the rename
  Committed done;
  const auto numbered = [&]() -> Result<void> {
    lock = OBIT_TRY(committed.Lock());
    const std::uint64_t number = OBIT_TRY(committed.TakeLocked());
    OBIT_TRY(WriteMark(dir, record, number));
    done.number = number;
    return {};
  }();
  if (!numbered) {
    ::unlinkat(dir.get(), kCommitFile, 0);  // of a process that was killed between number and rename
    done.unnumbered = numbered.error();
  }
  done.location = OBIT_TRY(store.Commit(record.id, record.time));
  return done;
}

Result<void> NumberCommitted(const Store& store, Sequence& committed, const CrashLocation& crash) {
  const Fd lock = OBIT_TRY(committed.Lock());
  const auto given = store.LoadCommitNumber(crash);
  if (given) return Refuse(EEXIST, "crash {} has a number", crash.id);
  if (!SaysThereIsNone(given.error())) return std::unexpected(given.error());  // it may have one
  return store.WriteCommitNumber(crash, OBIT_TRY(committed.TakeLocked()));
}

}  // namespace obit
