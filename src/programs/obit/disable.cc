#include <optional>

#include "base/log.h"
#include "base/text.h"
#include "common.h"
#include "kernel/core_pattern.h"
#include "pattern_owner.h"
#include "verbs.h"

namespace obit {
namespace {

struct Left {
  std::string pattern;               ///< that is in force now
  std::optional<std::string> owner;  ///< of a pattern that is not obit's and was left as it is
};

Result<Left> PutBack() {
  const Fd lock = OBIT_TRY(LockCorePattern(kPatternLockSeconds));
  OBIT_TRY(LeaveSysctl());
  const std::string now = OBIT_TRY(ReadCorePattern());
  const auto saved = OBIT_TRY(LoadSavedPattern());
  if (!IsObits(now, saved)) {
    // That of obit's pattern is obit's to put back, whatever the pattern is now.
    if (saved && TransportOf(saved->ours) == Transport::kPipe && OBIT_TRY(ReadCorePipeLimit()) == 0)
      OBIT_TRY(WriteCorePipeLimit(saved->pipe_limit));
    OBIT_TRY(ForgetSavedPattern());
    return Left{now, OwnerOf(now, saved)};
  }
  std::string before = saved ? saved->pattern : "core";
  OBIT_TRY(WriteCorePattern(before));
  if (saved) OBIT_TRY(WriteCorePipeLimit(saved->pipe_limit));
  OBIT_TRY(ForgetSavedPattern());
  return Left{std::move(before), std::nullopt};
}

}  // namespace

ExitCode Disable(bool if_ours) {
  const auto left = PutBack();
  if (!left) return Failed(left.error());
  if (!left->owner) {
    Print(fmt::format("core_pattern is \"{}\" again.\n", EscapeForTerminal(left->pattern)));
    return ExitCode::kDone;
  }
  const auto others =
      Refuse(EBUSY, "core_pattern is \"{}\", which is not obit's but leads to {}: left as it is",
             left->pattern, *left->owner);
  if (!if_ours) return Failed(others.error());
  Log(Severity::kNotice, "{}", others.error().what);
  return ExitCode::kDone;
}

}  // namespace obit
