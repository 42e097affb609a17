#pragma once

#include <string>

#include "crash/record.h"
#include "policy/config.h"

namespace obit {

/// What to keep of a crash, and why it is less than everything (empty for a full core).
struct Decision {
  Detail detail = Detail::kFull;
  std::string reason;
};

/// Decides by what is known before the dump begins.
[[nodiscard]] Decision Decide(const CrashRecord& record, const Config& config);

}  // namespace obit
