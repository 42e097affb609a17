#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace obit {

/// Crashes that came after one that was kept, at the same site, and were only counted: a crash loop.
struct Repeats {
  static constexpr int kSchema = 1;

  std::string id;                    ///< of the crash that was kept
  std::uint64_t crashes = 0;         ///< how many; never 0
  std::int64_t first = 0, last = 0;  ///< of them, ns since 1970
};

inline constexpr std::size_t kRepeatsJsonMax = 4096;  ///< bytes

/// repeats.json (docs/store-format.md), with a newline at its end.
[[nodiscard]] std::string RepeatsToJson(const Repeats& repeats);
/// EBADMSG: not such a text; EPROTONOSUPPORT: of an unknown schema.
[[nodiscard]] Result<Repeats> RepeatsFromJson(std::string_view text);

}  // namespace obit
