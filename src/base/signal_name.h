#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace obit {

/// "SIGSEGV"; "SIGRTMIN+2"; "signal 99" for a number without a name.
[[nodiscard]] std::string SignalName(int number);
/// The number of what SignalName() names, "SIGSEGV" or "SIGRTMIN+2"; nothing: it names none.
[[nodiscard]] std::optional<int> SignalNamed(std::string_view name);
/// "SEGV_MAPERR", "SI_TKILL", ...; the number in decimal where it has no name.
[[nodiscard]] std::string SignalCodeName(int signal, int code);

}  // namespace obit
