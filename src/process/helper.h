#pragma once

#include <string>

#include "base/result.h"

namespace obit {

/// The path, without symlinks, of a program that belongs to the running one: beside it (a build), or in its
/// libexec folder (an installation). ENOENT: it is in neither.
[[nodiscard]] Result<std::string> FindHelper(const std::string& name);

}  // namespace obit
