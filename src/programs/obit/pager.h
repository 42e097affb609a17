#pragma once

#include <string>

#include "exit_code.h"
#include "render/terminal.h"

namespace obit {

/// Prints a page on standard output: through $PAGER, or less if that is unset, where standard output is a
/// terminal that has fewer lines. Not with `no_pager`, with PAGER empty or "cat", nor if there is no such
/// pager. A pager that is left before the end is no failure. Returns once it has ended.
[[nodiscard]] ExitCode PrintPage(const std::string& page, const Terminal& terminal, bool no_pager);

}  // namespace obit
