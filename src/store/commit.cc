#include "store/commit.h"

#include <utility>

#include "base/io.h"
#include "crash/commit_mark.h"
#include "store/access.h"
#include "store/index.h"
#include "store/ownership.h"

namespace obit {
namespace {

/// Puts the number beside a crash that nobody can reach yet. It is not synced, which would cost as much as
/// all the rest of a commit: a crash that loses it in a power cut has none, until the index is made anew.
Result<void> WriteMark(const Store& store, const Fd& dir, const CrashRecord& record, std::uint64_t number) {
  ::unlinkat(dir.get(), kCommitFile, 0);  // of a process that was killed between number and rename
  const Fd file = OBIT_TRY(OpenAt(dir, kCommitFile, O_WRONLY | O_CREAT | O_EXCL, 0600));
  OBIT_TRY(WriteAll(file, CommitToJson({record.id, number})));
  OBIT_TRY(GiveToOwner(store.root(), file));
  (void)OBIT_TRY(ShareFile(file, OwnerOf(record)));
  return {};
}

}  // namespace

StoreNumbers OpenNumbers(const Store& store, std::uint64_t range, bool waits) {
  Error accepted_lost, committed_lost;
  StoreNumbers numbers{
      Sequence(store, {.name = "accepted", .range = range, .waits = waits}, &accepted_lost),
      Sequence(store, {.name = "committed", .range = range, .survives_power_cut = true, .waits = waits},
               &committed_lost),
      {}};
  auto index = Index::Open(store);
  if (accepted_lost.code != 0 || committed_lost.code != 0) {
    const auto list = index ? index->List(store) : ListFolders(store);
    // One after the other: each may be little higher than the one before.
    if (list)
      for (const CrashSummary& crash : list->crashes) {
        (void)numbers.accepted.NotBelow(crash.number);
        (void)numbers.committed.NotBelow(crash.commit_number);
      }
    // Else it is a new store, or one of an obit without numbers.
    if ((accepted_lost.code != 0 && numbers.accepted.last() > 0) ||
        (committed_lost.code != 0 && numbers.committed.last() > 0))
      numbers.problems.push_back(
          fmt::format("numbers of crashes: {}: they go on after those of the store, {} and {}",
                      (accepted_lost.code != 0 ? accepted_lost : committed_lost).what,
                      numbers.accepted.last(), numbers.committed.last()));
  }
  const auto highest = index ? index->HighestNumbers() : Index::Numbers{};
  if (!highest) return numbers;
  for (const auto& [sequence, number] :
       {std::pair{&numbers.accepted, highest->accepted}, {&numbers.committed, highest->committed}})
    if (!sequence->NotBelow(number))
      numbers.problems.push_back(
          fmt::format("a crash of the store has the number {}: new ones do not go on from there", number));
  return numbers;
}

Result<Committed> CommitNumbered(const Store& store, Sequence& committed, const CrashRecord& record) {
  const Fd dir = OBIT_TRY_IN(OpenAt(store.root(), "incoming/" + record.id, O_RDONLY | O_DIRECTORY),
                             "commit crash {}", record.id);
  Fd lock;  // until the rename
  const auto numbered = [&]() -> Result<void> {
    lock = OBIT_TRY(committed.Lock());
    return WriteMark(store, dir, record, OBIT_TRY(committed.TakeLocked()));
  }();
  Committed done;
  if (!numbered) {
    ::unlinkat(dir.get(), kCommitFile, 0);  // of a process that was killed between number and rename
    done.unnumbered = numbered.error();
  }
  done.location = OBIT_TRY(store.Commit(record.id, record.time));
  return done;
}

Result<void> NumberCommitted(const Store& store, Sequence& committed, const CrashLocation& crash) {
  const Fd lock = OBIT_TRY(committed.Lock());
  if (store.LoadCommitNumber(crash)) return Refuse(EEXIST, "crash {} has a number", crash.id);
  return store.WriteCommitNumber(crash, OBIT_TRY(committed.TakeLocked()));
}

}  // namespace obit
