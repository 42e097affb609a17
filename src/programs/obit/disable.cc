#include "base/text.h"
#include "common.h"
#include "kernel/core_pattern.h"
#include "pattern_owner.h"
#include "verbs.h"

namespace obit {

ExitCode Disable() {
  const auto restored = []() -> Result<std::string> {
    const Fd lock = OBIT_TRY(LockCorePattern(kPatternLockSeconds));
    const std::string now = OBIT_TRY(ReadCorePattern());
    const auto saved = OBIT_TRY(LoadSavedPattern());
    if (!IsObits(now, saved)) {
      OBIT_TRY(ForgetSavedPattern());
      return Refuse(EBUSY, "core_pattern is \"{}\", which is not obit's but leads to {}: left as it is", now,
                    OwnerOf(now, saved));
    }
    std::string before = saved ? saved->pattern : "core";
    OBIT_TRY(WriteCorePattern(before));
    if (saved) OBIT_TRY(WriteCorePipeLimit(saved->pipe_limit));
    OBIT_TRY(ForgetSavedPattern());
    return before;
  }();
  if (!restored) return Failed(restored.error());
  Print(fmt::format("core_pattern is \"{}\" again.\n", EscapeForTerminal(*restored)));
  return ExitCode::kDone;
}

}  // namespace obit
