#include "analyze/signal_frame.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <string>

#include <elf.h>

namespace obit {
namespace {

// struct ucontext, then struct siginfo; of the former: flags, link, stack (3 words), struct sigcontext_64
// (include/uapi/asm/sigcontext.h), and a signal mask of one word.
constexpr std::uint64_t kContextWords = 38, kMachineWord = 5;
constexpr std::size_t kSegments = 18, kError = 19, kTrap = 20, kCr2 = 22,
                      kFpstate = 23;  // words of the sigcontext
constexpr std::size_t kRsp = 15, kRip = 16, kFlags = 17;
constexpr std::uint64_t kUserCode64 = 0x33;  // __USER_CS
/// The general registers of a sigcontext, in its order, as indexes of struct user_regs_struct:
/// r8 ... r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags.
constexpr std::array<std::size_t, 18> kUser{9, 8, 7, 6, 3, 2, 1, 0, 14, 13, 4, 5, 12, 10, 11, 19, 16, 18};
constexpr std::size_t kOrigRax = 15, kUserRegisters = 27;

bool Belongs(int signal, Exception trap) {
  using enum Exception;
  const auto one_of = [trap](auto... numbers) { return ((trap == numbers) || ...); };
  switch (signal) {
    case SIGSEGV:
      return one_of(kGeneralProtection, kPageFault, kControlProtection, kOverflow, kBounds);
    case SIGBUS:
      return one_of(kStackSegment, kPageFault, kAlignment, kNoSegment);
    case SIGILL:
      return one_of(kInvalidOpcode);
    case SIGFPE:
      return one_of(kDivideError, kFloatingPoint, kSimdFloatingPoint);
    case SIGTRAP:
      return one_of(kDebug, kBreakpoint);
    default:
      return false;
  }
}

}  // namespace

bool IsFault(int signal, int code) {
  const bool synchronous =
      signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGTRAP;
  return synchronous && code > 0;
}

bool SignalFrame::is_fault() const { return IsFault(signal, code); }

bool SignalFrame::is_whole() const {
  return is_fault() && Belongs(signal, trap) &&
         (trap != Exception::kPageFault || !address || *address == cr2);
}

std::optional<SignalFrame> ReadSignalFrame(CoreImage& image, std::uint64_t context,
                                           const std::vector<std::uint64_t>& now) {
  std::array<std::uint64_t, kContextWords + 3> words{};  // and si_signo to si_addr
  if (image.arch().machine != EM_X86_64 || now.size() != kUserRegisters ||
      context % sizeof(std::uint64_t) != 0)
    return std::nullopt;
  if (image.Read(context, std::as_writable_bytes(std::span(words))) != sizeof words) return std::nullopt;
  const auto machine = std::span(words).subspan(kMachineWord);
  if ((machine[kSegments] & 0xffff) != kUserCode64) return std::nullopt;
  SignalFrame frame{.context = context,
                    .trap = static_cast<Exception>(machine[kTrap]),
                    .error = machine[kError],
                    .cr2 = machine[kCr2],
                    .fpstate = machine[kFpstate],
                    .registers = now};
  std::array<std::int32_t, 3> head{};  // si_signo, si_errno, si_code
  std::memcpy(head.data(), &words[kContextWords], sizeof head);
  if (head[0] > 0 && head[0] <= SIGRTMAX && head[1] == 0) {
    frame.signal = head[0];
    frame.code = head[2];
  }
  if (frame.is_fault() && frame.code != SI_KERNEL) frame.address = words[kContextWords + 2];
  for (std::size_t i = 0; i < kUser.size(); ++i) frame.registers[kUser[i]] = machine[i];
  frame.registers[kOrigRax] = UINT64_MAX;  // it was in no system call
  static_assert(kUser[kRsp] == 19 && kUser[kRip] == 16 && kUser[kFlags] == 18);
  return frame;
}

bool IsTrampoline(CoreImage& image, std::uint64_t pc) {
  const auto& frame = image.arch().signal_frame;
  if (!image.IsExecutable(pc)) return false;
  std::string code(frame.trampoline_max, '\0');
  code.resize(image.Read(pc, std::as_writable_bytes(std::span(code))));
  return std::ranges::any_of(frame.trampolines, [&](std::string_view way) { return code.starts_with(way); });
}

}  // namespace obit
