#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "analyze/core_image.h"

namespace obit {

/// What the processor refused: numbers of arch/x86/include/asm/trapnr.h.
enum class Exception : std::uint64_t {
  kDivideError = 0,
  kDebug = 1,
  kBreakpoint = 3,
  kOverflow = 4,
  kBounds = 5,
  kInvalidOpcode = 6,
  kNoSegment = 11,
  kStackSegment = 12,
  kGeneralProtection = 13,
  kPageFault = 14,
  kFloatingPoint = 16,
  kAlignment = 17,
  kSimdFloatingPoint = 19,
  kControlProtection = 21,
};

/// What the kernel put on a stack to call a signal handler (struct rt_sigframe of
/// arch/x86/include/asm/sigframe.h): the thread as it was then, and what the signal told. It writes the
/// latter only for a handler that asks for it (SA_SIGINFO): else these bytes are what was there before.
struct SignalFrame {
  std::uint64_t context = 0;             ///< address of its struct ucontext
  int signal = 0, code = 0;              ///< si_signo, si_code
  std::optional<std::uint64_t> address;  ///< si_addr: of a fault from the kernel that has one
  /// The last exception of the processor, which may be an earlier one: number, code, address of a page fault.
  Exception trap = Exception::kDivideError;
  std::uint64_t error = 0, cr2 = 0;
  std::uint64_t fpstate = 0;             ///< address of what FXSAVE makes; 0: there is none
  std::vector<std::uint64_t> registers;  ///< struct user_regs_struct; what the frame has not is of `now`

  /// The processor refused an instruction: the signal was not sent.
  [[nodiscard]] bool is_fault() const;
  /// The parts agree with each other, as the kernel writes them. Chance makes no such bytes.
  [[nodiscard]] bool is_whole() const;
};

/// SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP, with a code that only the kernel gives.
[[nodiscard]] bool IsFault(int signal, int code);

/// The frame whose struct ucontext is at `context`; nothing if memory is missing, or it cannot be one of a
/// 64-bit program. `now` are registers of the same thread, a whole struct user_regs_struct.
[[nodiscard]] std::optional<SignalFrame> ReadSignalFrame(CoreImage& image, std::uint64_t context,
                                                         const std::vector<std::uint64_t>& now);

/// The instructions at `pc` are those of a signal's trampoline: rt_sigreturn(2).
[[nodiscard]] bool IsTrampoline(CoreImage& image, std::uint64_t pc);

}  // namespace obit
