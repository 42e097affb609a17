#include "catalog/read_folders.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "base/limits.h"
#include "store/access.h"

namespace obit {
namespace {

enum class Was : bool { kNew, kKnown };

/// Takes what lies beside the record.
void AddWhatChanges(const Store& store, CrashSummary summary, Was was, FolderContents& contents) {
  std::optional<Error> doubt;
  if (const auto number = store.LoadCommitNumber(summary.location))
    summary.commit_number = *number;
  else if (!SaysThereIsNone(number.error()))
    doubt = number.error();
  ReportStamp report;
  // One that nobody can read is as good as none here: `obit show` tells of it.
  if (const auto head = store.LoadReportHead(summary.location)) {
    AddReport(summary, head->report);
    summary.report_bytes = head->bytes;
    report = head->stamp;
  } else if (!SaysThereIsNone(head.error())) {
    doubt = head.error();
  }
  if (const auto removed = store.IsCoreRemoved(summary.location))
    report.core_removed = summary.core_removed = *removed;
  else if (!doubt)
    doubt = removed.error();
  if (doubt) {
    contents.partial.push_back({summary.location, std::move(*doubt)});
    if (was == Was::kKnown) return contents.kept.push_back(std::move(summary.location));
    report = kReadAgain;
  }
  contents.reports.push_back(report);
  contents.crashes.push_back(std::move(summary));
}

}  // namespace

void Tell(FolderContents contents, CrashList& list) {
  std::ranges::move(contents.broken, std::back_inserter(list.broken));
  for (BrokenCrash& crash : contents.partial)
    if (crash.why.code != EACCES) list.partial.push_back(std::move(crash));
  list.hidden += contents.hidden;
}

Result<void> ReadFolders(const Store& store, const std::string& day, std::span<const CrashLocation> crashes,
                         FolderContents& contents, const KnownSummary& known) {
  std::vector<BrokenCrash> absent;
  for (const CrashLocation& crash : crashes) {
    if (known && store.MayExist(crash)) {
      if (auto summary = OBIT_TRY(known(crash))) {
        AddWhatChanges(store, std::move(*summary), Was::kKnown, contents);
        continue;
      }
    }
    if (auto record = store.Load(crash); record) {
      CrashSummary summary = Summarize(crash, *record);
      AddProgram(store, *record, summary);
      AddWhatChanges(store, std::move(summary), Was::kNew, contents);
    } else if (record.error().code == EACCES) {
      ++contents.hidden, contents.kept.push_back(crash);
    } else {
      (record.error().code == ENOENT ? absent : contents.broken)
          .push_back({crash, std::move(record).error()});
    }
  }
  if (absent.empty()) return {};
  // ENOENT is a folder that was removed, or one without a record: only the latter is still listed.
  const auto left = store.CrashesOf(day);
  if (!left && IsShortage(left.error())) return std::unexpected(left.error());
  if (!left) {  // it could be listed a moment ago
    for (BrokenCrash& crash : absent) {
      contents.kept.push_back(crash.location);
      contents.partial.push_back({std::move(crash.location), left.error()});
    }
    return {};
  }
  const std::set<CrashLocation> there(left->begin(), left->end());
  for (BrokenCrash& crash : absent)
    if (there.contains(crash.location) && !store.RemoveIfEmptied(crash.location))
      contents.broken.push_back(std::move(crash));
  return {};
}

}  // namespace obit
