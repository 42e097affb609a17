#include "crash/report.h"

#include "base/enum_names.h"

namespace obit {
namespace {

constexpr EnumNames<FrameOrigin, 5> kOrigins{{{FrameOrigin::kRegisters, "registers"},
                                              {FrameOrigin::kCfi, "cfi"},
                                              {FrameOrigin::kFramePointer, "frame-pointer"},
                                              {FrameOrigin::kReturnAddress, "return-address"},
                                              {FrameOrigin::kScan, "scan"}}};

}  // namespace

std::string_view NameOf(FrameOrigin origin) { return NameIn(kOrigins, origin); }
std::optional<FrameOrigin> OriginNamed(std::string_view name) { return ValueIn(kOrigins, name); }

void ForgetMemory(Report& report) {
  report.registers.clear();
  report.memory.clear();
  report.environment.clear();
  for (Stack& stack : report.stacks)
    for (Frame& frame : stack.frames)
      if (!frame.module) frame.pc = 0;  // it may be any word of the stack
  // Outside of files code is memory.
  const bool in_file = !report.stacks.empty() && !report.stacks.front().frames.empty() &&
                       report.stacks.front().frames.front().module;
  if (!in_file) report.instruction.reset();
}

}  // namespace obit
