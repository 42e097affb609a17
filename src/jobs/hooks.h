#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace obit {

/// Hooks: programs of the administrator's, in one folder, that are told of crashes.
struct Hooks {
  std::vector<std::string> programs;  ///< paths, in the order of their names
  std::vector<std::string> refused;   ///< what was executable and is not run, and why
};

/// The hooks in a folder. None: it is missing. A name that begins with a dot, ends with ~, or is one that a
/// package manager gives to what it put aside (.dpkg-old, .rpmsave, ...) is no hook's; nor is what is not
/// executable. Refused: what others than root and the caller's user may write, and so decide what runs.
[[nodiscard]] Result<Hooks> FindHooks(const std::string& folder);

}  // namespace obit
