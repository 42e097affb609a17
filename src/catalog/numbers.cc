#include "catalog/numbers.h"

#include <algorithm>
#include <utility>

#include "catalog/index.h"
#include "catalog/list.h"

namespace obit {
namespace {

/// The index is brought up to date first, if that can be done. One that was made anew is not: to read 100,000
/// crashes takes ten seconds, and crashes wait until there are numbers. Then the files of numbers have to do.
Result<Index::Numbers> HighestNumbers(const Store& store) {
  auto index = OBIT_TRY(Index::Open(store));
  if (const auto known = OBIT_TRY(index.HighestNumbers()); known.accepted == 0) return known;
  OBIT_TRY(index.Update(store));
  return index.HighestNumbers();
}

/// Goes on behind the numbers of all crashes.
void GoOnBehindAll(const Store& store, StoreNumbers& numbers) {
  const auto list = ListCrashes(store);
  if (!list) {
    numbers.problems.push_back(
        fmt::format("numbers of crashes: some may be given twice: {}", list.error().what));
    return;
  }
  if (!list->partial.empty() || !list->unreadable.empty())
    numbers.problems.push_back(fmt::format(
        "numbers of crashes: some may be given twice: {}",
        (list->unreadable.empty() ? list->partial.front().why : list->unreadable.front().why).what));
  std::uint64_t odd = 0;
  // One after the other: each may be little higher than the one before.
  for (const CrashSummary& crash : list->crashes) {
    if (!numbers.accepted.NotBelow(crash.number)) odd = std::max(odd, crash.number);
    if (!numbers.committed.NotBelow(crash.commit_number)) odd = std::max(odd, crash.commit_number);
  }
  if (odd > 0)
    numbers.problems.push_back(
        fmt::format("a crash of the store has the number {}: new ones do not go on from there", odd));
}

}  // namespace

StoreNumbers OpenNumbers(const Store& store, std::uint64_t range, bool waits) {
  StoreNumbers numbers = ReadNumbers(store, range, waits);
  auto& [accepted, committed, problems] = numbers;
  const bool lost = accepted.lost() || committed.lost();
  // The files alone do not do: where one could not be written, numbers were given that it does not have.
  const auto highest = lost ? Index::Numbers{} : HighestNumbers(store);
  if (lost || !highest || !accepted.NotBelow(highest->accepted) || !committed.NotBelow(highest->committed))
    GoOnBehindAll(store, numbers);
  // Else it is a new store, or one of an obit without numbers.
  if ((accepted.lost() && accepted.last() > 0) || (committed.lost() && committed.last() > 0))
    problems.push_back(fmt::format("numbers of crashes: {}: they go on after those of the store, {} and {}",
                                   (accepted.lost() ? accepted : committed).lost()->what, accepted.last(),
                                   committed.last()));
  return numbers;
}

}  // namespace obit
