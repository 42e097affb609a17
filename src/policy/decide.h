#pragma once

#include <cstdint>
#include <string>

#include "config/config.h"
#include "crash/record.h"

namespace obit {

/// What to keep of a crash, and why it is less than everything (empty for a full core).
struct Decision {
  Detail detail = Detail::kFull;
  std::string reason;
  std::uint64_t core_max = UINT64_MAX;  ///< so much of the core is kept, bytes, from its beginning on
};

/// Decides by what is known before the dump begins.
[[nodiscard]] Decision Decide(const CrashRecord& record, const Config& config);
/// No more than `most`, for this reason; one that is no more already stays, with its own.
void Lower(Decision& decision, Detail most, std::string reason);

}  // namespace obit
