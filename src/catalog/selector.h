#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/summary.h"

namespace obit {

/// The crash that a selector (SEL on a command line) names.
struct Selection {
  const CrashSummary* crash = nullptr;  ///< one of those that were given
  /// How many more crashes fit and were passed over for it, the newest: of a program or pid that crashed more
  /// than once.
  std::size_t others = 0;
  /// The newest of the others whose core is whole, if that of `crash` is not.
  const CrashSummary* whole = nullptr;
};

/// What a selector rather names that could be a program and the pid or the beginning of an id of another.
/// kProgram is for what cannot be undone: a program that is called "cafe" is meant by its name.
enum class Prefer { kId, kProgram };

/// Finds what `selector` names among `crashes` (oldest first). In this order: "@1" is the newest, "@2" the
/// one before, and so on; a whole id; a pid; the beginning of an id, if only one has it; a program, by comm
/// or by file name of its executable; a program comes before a pid with kProgram. ENOENT: none; ENOTUNIQ: the
/// beginning of several ids. The messages say what there is instead.
[[nodiscard]] Result<Selection> SelectCrash(std::span<const CrashSummary> crashes, std::string_view selector,
                                            Prefer prefer = Prefer::kId);

/// All crashes that a selector fits, in the given order: as SelectCrash, but the beginning of an id, a pid or
/// a program may have several.
[[nodiscard]] std::vector<CrashSummary> MatchingCrashes(std::span<const CrashSummary> crashes,
                                                        std::string_view selector);

/// "3f9c2a71 imgproxy": a crash in a message. The program's name is as it is: escape it for a terminal.
[[nodiscard]] std::string ShortName(const CrashSummary& crash);

/// An id as it is shown, 8 digits: any unique beginning selects.
[[nodiscard]] std::string ShortId(const CrashLocation& crash);

}  // namespace obit
