#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace obit {

// Moments are ns since 1970 and are shown in the local time zone (localtime(3)).

/// For a column: "today 14:02:11", "2026-11-22 14:02".
[[nodiscard]] std::string FormatMoment(std::int64_t moment, std::int64_t now);

/// For a sentence: "today at 14:02:11", "on 2026-11-22 at 14:02:11".
[[nodiscard]] std::string FormatMomentInProse(std::int64_t moment, std::int64_t now);

/// A day that something began on, or the time if it was the same day: "14:02", "yesterday", "Monday" (of the
/// last six days), "2026-11-02".
[[nodiscard]] std::string FormatBeginning(std::int64_t moment, std::int64_t now);

/// Reads what a user gives as a beginning: a span before `now` ("90s", "30min", "2h", "3d", "1w"), "today",
/// or a local date with or without a time ("2026-11-22", "2026-11-22 14:02", "2026-11-22 14:02:11"; a "T" may
/// stand for the space).
[[nodiscard]] std::optional<std::int64_t> ParseSince(std::string_view text, std::int64_t now);

}  // namespace obit
