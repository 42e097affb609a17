#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace obit {

/// A part of a file system: "10%", "20 GiB", or the smaller of both: "15%, 10 GiB". Neither: none, "off".
struct DiskAmount {
  std::optional<unsigned> percent;  ///< 1 to 100
  std::optional<std::uint64_t> bytes;

  /// What it comes to on a disk of so many bytes; nothing: there is no such limit.
  [[nodiscard]] std::optional<std::uint64_t> Of(std::uint64_t disk_bytes) const;
  bool operator==(const DiskAmount&) const = default;
};

/// "512", "20 GiB", "20G", "1.5T": units are powers of 1024. Nothing if it is anything else.
[[nodiscard]] std::optional<std::uint64_t> ParseBytes(std::string_view text);
/// What is said above. EINVAL: it is anything else.
[[nodiscard]] Result<DiskAmount> ParseDiskAmount(std::string_view text);
/// As ParseDiskAmount reads it.
[[nodiscard]] std::string ToText(const DiskAmount& amount);

}  // namespace obit
