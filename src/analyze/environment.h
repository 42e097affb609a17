#pragma once

#include <string>
#include <vector>

#include "analyze/core_image.h"
#include "crash/environment.h"

namespace obit {

/// The environment that the process was started with, "NAME=value" each, as far as it may be kept: it lies on
/// the first thread's stack (create_elf_tables() of fs/binfmt_elf.c). Bounded.
[[nodiscard]] std::vector<std::string> FindEnvironment(CoreImage& image, EnvironmentKept kept);

}  // namespace obit
