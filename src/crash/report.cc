#include "crash/report.h"

#include <iterator>

namespace obit {
namespace {

constexpr std::string_view kCauseNames[] = {"unknown",
                                            "null-read",
                                            "null-write",
                                            "null-call",
                                            "unmapped-read",
                                            "unmapped-write",
                                            "wild-pointer",
                                            "read-protected",
                                            "write-read-only",
                                            "execute-non-executable",
                                            "stack-overflow",
                                            "heap-corruption",
                                            "stack-smashing",
                                            "fortify",
                                            "assert",
                                            "uncaught-exception",
                                            "pure-virtual-call",
                                            "rust-panic",
                                            "abort",
                                            "out-of-memory",
                                            "divide-by-zero",
                                            "arithmetic",
                                            "trap",
                                            "illegal-instruction",
                                            "truncated-file",
                                            "bus-error",
                                            "bad-system-call",
                                            "cpu-limit",
                                            "file-size-limit",
                                            "killed"};
static_assert(std::size(kCauseNames) == static_cast<std::size_t>(CauseKind::kKilled) + 1);

constexpr std::string_view kOriginNames[] = {"registers", "cfi", "frame-pointer", "return-address", "scan"};
static_assert(std::size(kOriginNames) == static_cast<std::size_t>(FrameOrigin::kScan) + 1);

template <class E, std::size_t N>
std::optional<E> Find(const std::string_view (&names)[N], std::string_view name) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == name) return static_cast<E>(i);
  return std::nullopt;
}

}  // namespace

std::string_view NameOf(CauseKind kind) { return kCauseNames[static_cast<std::size_t>(kind)]; }
std::optional<CauseKind> CauseNamed(std::string_view name) { return Find<CauseKind>(kCauseNames, name); }
std::string_view NameOf(FrameOrigin origin) { return kOriginNames[static_cast<std::size_t>(origin)]; }
std::optional<FrameOrigin> OriginNamed(std::string_view name) {
  return Find<FrameOrigin>(kOriginNames, name);
}

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
