#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace obit {

/// How long to wait for another program that changes the core pattern.
inline constexpr int kPatternLockSeconds = 30;

/// What obit enable found and what it put in its place: /run/obit/saved-core-pattern, gone with the next boot
/// like the settings themselves.
struct SavedPattern {
  std::string pattern;      ///< before obit
  unsigned pipe_limit = 0;  ///< core_pipe_limit, before obit
  std::string ours;         ///< the pattern that obit set
};
/// Nothing if none is saved.
[[nodiscard]] Result<std::optional<SavedPattern>> LoadSavedPattern();
[[nodiscard]] Result<void> StoreSavedPattern(const SavedPattern& saved);
[[nodiscard]] Result<void> ForgetSavedPattern();

/// Makes each run of "sysctl --system", of systemd-sysctl too, set this pattern again: packages of others
/// bring patterns of their own, and their installation sets all that there are. /run/sysctl.d/zz-obit.conf,
/// by its name the last one but for /etc/sysctl.conf; gone with the next boot, like the pattern.
[[nodiscard]] Result<void> KeepThroughSysctl(const std::string& ours);
[[nodiscard]] Result<void> LeaveSysctl();

/// Whether obit gets the cores: it set this very pattern, or the pattern leads where obitd listens by
/// default.
[[nodiscard]] bool IsObits(const std::string& pattern, const std::optional<SavedPattern>& saved);

/// Who gets the cores by this pattern, for people: "obit", "systemd-coredump", "a file named core".
[[nodiscard]] std::string OwnerOf(const std::string& pattern, const std::optional<SavedPattern>& saved);

}  // namespace obit
