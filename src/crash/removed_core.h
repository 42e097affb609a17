#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace obit {

/// That the core of a crash was removed, and its record stays.
struct RemovedCore {
  static constexpr int kSchema = 1;

  std::string id;           ///< of the crash
  std::int64_t time = 0;    ///< when it was removed, ns since 1970
  std::uint64_t bytes = 0;  ///< that this freed
  std::string why;          ///< "it was older than 30 days"
};

inline constexpr std::size_t kRemovedJsonMax = 4096;  ///< bytes

/// removed.json (docs/store-format.md), with a newline at its end.
[[nodiscard]] std::string RemovedCoreToJson(const RemovedCore& removed);
/// EBADMSG: not such a text; EPROTONOSUPPORT: of an unknown schema.
[[nodiscard]] Result<RemovedCore> RemovedCoreFromJson(std::string_view text);

}  // namespace obit
