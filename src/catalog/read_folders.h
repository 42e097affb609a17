#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/summary.h"
#include "store/store.h"

namespace obit {

/// What was read of the folders of some crashes.
struct FolderContents {
  std::vector<CrashSummary> crashes;
  std::vector<ReportStamp> reports;  ///< that the summary of the same place was made from
  std::vector<BrokenCrash> broken;
  /// Those of which something cannot be read that another reader, or the next try, may read.
  std::vector<BrokenCrash> partial;
  std::size_t hidden = 0;  ///< those that may not be read
  /// What is known of these is neither confirmed nor replaced: hidden ones, and those of `partial` that were
  /// known. They are not in `crashes`.
  std::vector<CrashLocation> kept;

  /// Nothing was left for another time.
  [[nodiscard]] bool complete() const { return broken.empty() && partial.empty() && hidden == 0; }
};
/// Stands for the report of a crash of `partial`: it is no report's stamp, and says that there is more to
/// read.
inline constexpr ReportStamp kReadAgain{.inode = 0, .changed = -1};

/// Puts what is to be told of into `list`. What the caller has no right to is not an error.
void Tell(FolderContents contents, CrashList& list);

/// What is known of a crash that was read before, without its report; nothing: it was not. Its record never
/// changes, and is not read again.
using KnownSummary = std::function<Result<std::optional<CrashSummary>>(const CrashLocation&)>;
/// Adds `crashes` of one day. One that has gone meanwhile is left out. Fails only as `known` does, or for
/// want of descriptors or memory (IsShortage).
[[nodiscard]] Result<void> ReadFolders(const Store& store, const std::string& day,
                                       std::span<const CrashLocation> crashes, FolderContents& contents,
                                       const KnownSummary& known = {});

}  // namespace obit
