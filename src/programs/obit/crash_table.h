#pragma once

#include <span>
#include <string>

#include "catalog/fold.h"
#include "catalog/summary.h"
#include "render/terminal.h"

namespace obit {

enum class CauseColumn : bool { kOmit, kShow };

/// A table with these lines, as `obit list` prints it. The first crash of a group says the cause, and the
/// others of the group refer to it.
[[nodiscard]] std::string RenderCrashTable(std::span<const FoldedCrash> lines, CauseColumn cause,
                                           const Terminal& terminal, std::int64_t now);

/// "4 crashes in 3 groups, 224 MiB stored": what stands below.
[[nodiscard]] std::string CountCrashes(std::span<const CrashSummary> crashes);

/// The line below a table: `count`, and on a terminal `hint`, dim, if there is room.
[[nodiscard]] std::string Footer(const std::string& count, const std::string& hint, const Terminal& terminal);

/// "null pointer read at 0x18", "probably: ...": the cause for a column; empty without a report.
[[nodiscard]] std::string CauseText(const CrashSummary& crash);

}  // namespace obit
