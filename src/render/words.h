#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crash/cause.h"
#include "crash/record.h"
#include "render/terminal.h"

namespace obit {

/// What there is of a core, for a column: "1.0 GiB", "truncated 310 MiB", "event", "failed".
[[nodiscard]] std::string CoreColumn(CrashOutcome outcome, std::uint64_t core_bytes);
[[nodiscard]] Tone ToneOf(CrashOutcome outcome);

/// How the core came here: "full: 1.0 GiB in 58 MiB, by stream over socket-request; held
/// for 1.61 s".
[[nodiscard]] std::string DescribeCapture(const CrashRecord::Capture& capture);
/// What is special about a core with enormous holes: "20 TiB are stored as lengths: ..."; empty for others.
[[nodiscard]] std::string DescribeHoles(const CrashRecord::Capture& capture);

/// "SIGSEGV (SEGV_MAPERR) at address 0x18", "SIGABRT (SI_TKILL), sent by process 4711 of ann".
[[nodiscard]] std::string DescribeSignal(const CrashRecord::Signal& signal);
/// The same of a crash whose cause is known: "..., after SIGSEGV (SEGV_MAPERR) at address 0x18, which a
/// handler caught".
[[nodiscard]] std::string DescribeSignal(const CrashRecord::Signal& signal, const Cause& cause);

/// "python3 died of SIGSEGV today at 14:02:11". Fit for a terminal.
[[nodiscard]] std::string Headline(const CrashRecord& record, std::int64_t now);

/// "unit imgproxy.service", "container 3f9c2a71b04d (docker), pod 6f8d3c0e-...": what a cgroup tells. Empty
/// if that is nothing. Fit for a terminal.
[[nodiscard]] std::string DescribeIdentity(std::string_view cgroup);

/// "1st", "2nd", "3rd", "11th".
[[nodiscard]] std::string Ordinal(std::uint64_t number);

/// CauseSentence() as it begins a line: "Null pointer read at 0x18", "Probably: null pointer read".
/// Fit for a terminal.
[[nodiscard]] std::string DescribeCause(std::string_view sentence);

/// An argument as a shell takes it: in quotes where it needs them. Not escaped for a terminal.
[[nodiscard]] std::string QuoteForShell(const std::string& argument);

}  // namespace obit
