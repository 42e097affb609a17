#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace obit {

/// When a crash came into its store, among the others: what is passed on to other systems goes by it.
struct CommitMark {
  static constexpr int kSchema = 1;

  std::string id;            ///< of the crash
  std::uint64_t number = 0;  ///< 1 to kNumberMax
};

inline constexpr std::size_t kCommitJsonMax = 4096;  ///< bytes

/// commit.json (docs/store-format.md), with a newline at its end.
[[nodiscard]] std::string CommitToJson(const CommitMark& mark);
/// EBADMSG: not such a text; EPROTONOSUPPORT: of an unknown schema.
[[nodiscard]] Result<CommitMark> CommitFromJson(std::string_view text);

}  // namespace obit
