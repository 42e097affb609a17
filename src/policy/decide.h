#pragma once

#include <cstdint>
#include <string>

#include "crash/record.h"
#include "policy/config.h"

namespace obit {

/// What to keep of a crash, and why it is less than everything (empty for a full core).
struct Decision {
  Detail detail = Detail::kFull;
  std::string reason;
  std::uint64_t core_max = UINT64_MAX;  ///< so much of the core is kept, bytes, from its beginning on
};

/// Decides by what is known before the dump begins.
[[nodiscard]] Decision Decide(const CrashRecord& record, const Config& config);

}  // namespace obit
