#pragma once

#include <string>

#include "crash/cause.h"

namespace obit {

/// What killed a process, for people: "null pointer read at 0x18: rdi is null", "probably a stack overflow".
/// Begins with a small letter and has no full stop. Empty if only the signal is known. Not escaped for a
/// terminal.
[[nodiscard]] std::string CauseSentence(const Cause& cause);

}  // namespace obit
