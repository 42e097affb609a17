#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace obit {

/// Nanoseconds since 1970 (CLOCK_REALTIME), of CLOCK_MONOTONIC, and since boot, suspended time included
/// (CLOCK_BOOTTIME).
[[nodiscard]] std::int64_t RealtimeNow();
[[nodiscard]] std::int64_t MonotonicNow();
[[nodiscard]] std::int64_t BoottimeNow();

/// RFC 3339 in UTC with nanoseconds: "2026-11-23T14:02:11.000000001Z".
[[nodiscard]] std::string FormatTimestamp(std::int64_t nanoseconds);
/// Reads what FormatTimestamp writes, with 0 to 9 digits of fraction; nothing if it is anything else.
[[nodiscard]] std::optional<std::int64_t> ParseTimestamp(std::string_view text);

/// The UTC day, "2026-11-23": the folder a crash lies in.
[[nodiscard]] std::string FormatDay(std::int64_t nanoseconds);

}  // namespace obit
