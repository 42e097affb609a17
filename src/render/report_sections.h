#pragma once

#include <string>
#include <string_view>

#include "crash/record.h"
#include "crash/report.h"
#include "render/terminal.h"

namespace obit {

// The long parts of a report, for who asks for them. Complete lines, with newlines; empty where there is
// nothing.

/// The stacks of all threads but the first, whole. `record` has the names of the threads.
[[nodiscard]] std::string RenderOtherThreads(const Report& report, const CrashRecord& record,
                                             const Terminal& terminal);

/// The registers of the crashed thread, and the memory around those that matter.
[[nodiscard]] std::string RenderRegisters(const Report& report, const Terminal& terminal);

[[nodiscard]] std::string RenderModules(const Report& report, const Terminal& terminal);

[[nodiscard]] std::string RenderMappings(const Report& report, const Terminal& terminal);

/// The environment that the process was started with, as far as it was kept.
[[nodiscard]] std::string RenderEnvironment(const Report& report, const Terminal& terminal);

/// Rows of 16 bytes, 8 where that is too wide: "  0x401130  48 8b 47 18 ...  |H.G.|".
[[nodiscard]] std::string RenderHexDump(std::uint64_t address, std::string_view bytes,
                                        const Terminal& terminal);

}  // namespace obit
