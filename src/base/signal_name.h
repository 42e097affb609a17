#pragma once

#include <string>

namespace obit {

/// "SIGSEGV"; "SIGRTMIN+2"; "signal 99" for a number without a name.
[[nodiscard]] std::string SignalName(int number);
/// "SEGV_MAPERR", "SI_TKILL", ...; the number in decimal where it has no name.
[[nodiscard]] std::string SignalCodeName(int signal, int code);

}  // namespace obit
