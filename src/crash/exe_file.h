#pragma once

#include <sys/stat.h>

#include "crash/record.h"

namespace obit {

/// What tells the file of `status` from another one.
[[nodiscard]] ExeFile ExeFileOf(const struct stat& status);

}  // namespace obit
