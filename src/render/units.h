#pragma once

#include <cstdint>
#include <string>

namespace obit {

/// A size in two or three digits: "412 KiB", "1.0 GiB", "17 B". Units are powers of 1024.
[[nodiscard]] std::string FormatBytes(std::uint64_t bytes);

/// A span of time in at most two units: "4 ms", "0.58 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 2 h".
[[nodiscard]] std::string FormatDuration(double seconds);

/// "1 crash", "4 crashes": `noun` takes an "s", or "es" where it ends in a hiss.
[[nodiscard]] std::string FormatCount(std::uint64_t count, const std::string& noun);

}  // namespace obit
