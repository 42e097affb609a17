#pragma once

#include <cstdint>
#include <string>

#include "crash/record.h"
#include "render/terminal.h"

namespace obit {

/// What there is of a core, for a column: "1.0 GiB", "truncated 310 MiB", "event", "failed".
[[nodiscard]] std::string CoreColumn(CrashOutcome outcome, std::uint64_t core_bytes);
[[nodiscard]] Tone ToneOf(CrashOutcome outcome);

/// How the core came here: "full: 1.0 GiB in 58 MiB, by stream over socket-request; held
/// for 1.61 s".
[[nodiscard]] std::string DescribeCapture(const CrashRecord::Capture& capture);

/// "SIGSEGV (SEGV_MAPERR) at address 0x18", "SIGABRT (SI_TKILL), sent by process 4711 of ann".
[[nodiscard]] std::string DescribeSignal(const CrashRecord::Signal& signal);

/// "python3 died of SIGSEGV today at 14:02:11". Fit for a terminal.
[[nodiscard]] std::string Headline(const CrashRecord& record, std::int64_t now);

/// An argument as a shell takes it: in quotes where it needs them. Not escaped for a terminal.
[[nodiscard]] std::string QuoteForShell(const std::string& argument);

}  // namespace obit
