#include "present/cause_sentence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"

namespace obit {
namespace {

std::string In(const std::string& function) { return function.empty() ? "" : " in " + function; }
std::string Behind(const std::string& words) { return words.empty() ? "" : ": " + words; }
std::string At(const Cause& cause) { return cause.address ? fmt::format(" at {:#x}", *cause.address) : ""; }
/// " (libc.so.6)"
std::string Of(const std::string& place) { return place.empty() ? "" : fmt::format(" ({})", place); }
std::string AtPlace(const Cause& cause) { return At(cause) + Of(cause.place); }

std::string_view Accessed(const Cause& cause, std::string_view read, std::string_view write,
                          std::string_view either) {
  switch (cause.access) {
    case MemoryAccess::kRead:
      return read;
    case MemoryAccess::kWrite:
      return write;
    case MemoryAccess::kExecute:
    case MemoryAccess::kUnknown:
      break;
  }
  return either;
}

std::string NullPointer(const Cause& cause, std::string_view how) {
  std::string text = fmt::format("null pointer {}", how);
  if (cause.address.value_or(0) != 0) text += At(cause);
  if (!cause.reg.empty()) text += fmt::format(": {} is null", cause.reg);
  return text;
}

std::string WildStack(const Cause& cause) { return cause.reg == "rsp" ? ": the stack pointer is wild" : ""; }

std::string WildPointer(const Cause& cause) {
  const std::string value = cause.address ? fmt::format(": {:#x}", *cause.address) : "";
  if (cause.transfer == Transfer::kReturn)
    return fmt::format("return to a wild address{}: the stack was overwritten", value);
  const std::string through = cause.reg.empty() ? "" : " in " + cause.reg;
  const std::string_view how =
      cause.transfer == Transfer::kCall ? "call" : Accessed(cause, "read", "write", "access");
  return fmt::format("{} through a wild pointer{}{}", how, through, value);
}

std::string NotExecutable(const Cause& cause) {
  if (cause.transfer == Transfer::kReturn)
    return fmt::format("return to {}{}: the stack was overwritten",
                       cause.what == "unmapped" ? "unmapped memory" : "memory that is not executable",
                       AtPlace(cause));
  if (cause.what == "unmapped") return "call of unmapped memory" + At(cause);
  return "execution of non-executable memory" + AtPlace(cause);
}

/// "52,103": the locale is nobody's business here.
std::string Grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

/// "stack overflow: 52,103 calls deep in recurse", "stack overflow: at least 1,000 times even < odd".
std::string StackOverflow(const Cause& cause) {
  if (!cause.recursion || cause.recursion->functions.empty()) return "stack overflow" + In(cause.function);
  const Cause::Recursion& recursion = *cause.recursion;
  const std::string times = (recursion.at_least ? "at least " : "") + Grouped(recursion.times);
  if (recursion.functions.size() == 1)
    return fmt::format("stack overflow: {} calls deep in {}", times, recursion.functions.front());
  if (recursion.irregular)
    return fmt::format("stack overflow: {} calls deep in {}", times, fmt::join(recursion.functions, ", "));
  return fmt::format("stack overflow: {} times {}", times, fmt::join(recursion.functions, " < "));
}

/// ": no such table"; a text that what() may not have returned is said to be one.
std::string ExceptionText(const Cause& cause) {
  if (cause.message.empty()) return "";
  return (cause.message_guess ? ", which holds: " : ": ") + cause.message;
}

/// "uncaught exception shop::Error: no such table (an exception left a noexcept function)"
std::string UncaughtException(const Cause& cause) {
  std::string text = "uncaught exception";
  if (!cause.type.empty()) text += " " + cause.type;
  if (!cause.runtime.empty()) text += " in " + cause.runtime;
  return text + ExceptionText(cause) + Of(cause.what);
}

std::string OutOfMemory(const Cause& cause) {
  if (!cause.type.empty())
    return fmt::format("out of memory: uncaught {}{}{}", cause.type, ExceptionText(cause), Of(cause.what));
  return "out of memory" + Behind(cause.message);
}

std::string_view FirstLine(std::string_view text) { return Trim(text.substr(0, text.find('\n'))); }

/// "Go panic: index out of range", "GLib: ...".
std::string InWords(std::string_view how, const Cause& cause) {
  return cause.message.empty() ? std::string(how) + In(cause.function)
                               : fmt::format("{}: {}", how, FirstLine(cause.message));
}

/// "GLib error", "Python fatal error"
std::string WhoAndWhat(const Cause& cause) {
  if (cause.runtime.empty()) return cause.what.empty() ? "fatal error" : cause.what;
  return cause.what.empty() ? cause.runtime : cause.runtime + " " + cause.what;
}

std::string Misaligned(const Cause& cause) {
  std::string text = fmt::format("misaligned {}", Accessed(cause, "read", "write", "access")) + At(cause);
  if (cause.alignment != 0) text += fmt::format(", not a multiple of {}", cause.alignment);
  return text + Behind(cause.instruction);
}

std::string Killed(const Cause& cause) {
  if (cause.what.empty()) return "killed by a signal";
  if (!cause.sender) return "died of " + cause.what;
  const Cause::Sender& sender = *cause.sender;
  const std::string handler = !sender.in_handler ? ""
                              : cause.function.empty()
                                  ? " from a signal handler"
                                  : " from a signal handler, which had come" + In(cause.function);
  switch (sender.kind) {
    case SenderKind::kItself:
      return fmt::format("killed itself with {}{}", cause.what, handler);
    case SenderKind::kThread:
      return fmt::format("killed by {} from another thread of its own", cause.what);
    case SenderKind::kTimer:
      return fmt::format("killed by {} from a timer of its own", cause.what);
    case SenderKind::kQueue:
      return fmt::format("killed by {} that was queued for it", cause.what);
    case SenderKind::kTerminal:
      return fmt::format("killed by {} from the terminal", cause.what);
    case SenderKind::kKernel:
      return fmt::format("killed by {} from the kernel", cause.what);
    case SenderKind::kOutsideNamespace:
      return fmt::format("killed by {} from outside its pid namespace", cause.what);
    case SenderKind::kProcess:
      break;
  }
  std::string text = fmt::format("killed by {}", cause.what);
  if (sender.pid) text += fmt::format(" from process {}", *sender.pid);
  if (sender.uid) text += fmt::format(" (uid {})", *sender.uid);
  return text;
}

std::string Sentence(const Cause& cause) {
  switch (cause.kind) {
    case CauseKind::kUnknown:
      return cause.what.empty() ? "" : cause.what + At(cause);
    case CauseKind::kNullRead:
      return NullPointer(cause, "read");
    case CauseKind::kNullWrite:
      return NullPointer(cause, "write");
    case CauseKind::kNullCall:
      return NullPointer(cause, "called");
    case CauseKind::kUnmappedRead:
      return "read of unmapped memory" + At(cause) + WildStack(cause);
    case CauseKind::kUnmappedWrite:
      return "write to unmapped memory" + At(cause) + WildStack(cause);
    case CauseKind::kWildPointer:
      return WildPointer(cause);
    case CauseKind::kReadProtected:
      return fmt::format("{} protected memory", Accessed(cause, "read of", "write to", "access to")) +
             AtPlace(cause);
    case CauseKind::kWriteReadOnly:
      return "write to read-only memory" + AtPlace(cause);
    case CauseKind::kExecuteNonExecutable:
      return NotExecutable(cause);
    case CauseKind::kStackOverflow:
      return StackOverflow(cause);
    case CauseKind::kHeapCorruption:
      return "heap corruption" + Behind(cause.message);
    case CauseKind::kStackSmashing:
      return "stack smashing detected" + In(cause.function);
    case CauseKind::kFortify:
      return cause.what + In(cause.function);
    case CauseKind::kAssert:
      return "assertion failed" + Behind(cause.expression.empty() ? cause.message : cause.expression);
    case CauseKind::kUncaughtException:
      return UncaughtException(cause);
    case CauseKind::kPureVirtualCall:
      return "pure virtual method called";
    case CauseKind::kRustPanic:
      return InWords("panic", cause);
    case CauseKind::kAbort:
      return "abort called" + In(cause.function) + Behind(std::string(FirstLine(cause.message)));
    case CauseKind::kOutOfMemory:
      return OutOfMemory(cause);
    case CauseKind::kDivideByZero:
      return "integer division by zero";
    case CauseKind::kArithmetic:
      return cause.what.empty() ? "arithmetic error" : cause.what;
    case CauseKind::kTrap:
      return cause.what;
    case CauseKind::kIllegalInstruction:
      return "illegal instruction" + Behind(cause.instruction);
    case CauseKind::kTruncatedFile:
      return "mapped file is shorter than its mapping" + Behind(cause.place);
    case CauseKind::kBusError:
      return "bus error" + AtPlace(cause) + Behind(cause.what);
    case CauseKind::kBadSystemCall:
      return "forbidden system call" + (cause.system_call.empty() ? "" : " " + cause.system_call);
    case CauseKind::kCpuLimit:
      return "CPU time limit exceeded";
    case CauseKind::kFileSizeLimit:
      return "file size limit exceeded";
    case CauseKind::kKilled:
      return Killed(cause);
    case CauseKind::kDivisionOverflow:
      return "integer overflow in a division" + (cause.what.empty() ? "" : " " + cause.what);
    case CauseKind::kMisaligned:
      return Misaligned(cause);
    case CauseKind::kProtectionKey:
      return fmt::format("{} memory that a protection key forbids",
                         Accessed(cause, "read of", "write to", "access to")) +
             AtPlace(cause);
    case CauseKind::kGeneralProtection:
      return "general protection fault" + Behind(cause.instruction);
    case CauseKind::kNoFileSpace:
      return "no space left for mapped memory of a file" + Behind(cause.place);
    case CauseKind::kNoHugePage:
      return "no huge page left for memory" + AtPlace(cause);
    case CauseKind::kHardwareMemory:
      return "the hardware lost memory" + AtPlace(cause);
    case CauseKind::kPrivilegedInstruction:
      return "privileged instruction" + Behind(cause.instruction);
    case CauseKind::kSanitizerTrap:
      return "a check of the sanitizer failed" + In(cause.function) + Behind(cause.what);
    case CauseKind::kSanitizerReport:
      return InWords(cause.runtime.empty() ? "sanitizer" : cause.runtime, cause);
    case CauseKind::kTerminate:
      return "std::terminate called" + In(cause.function) + Behind(cause.what);
    case CauseKind::kGoPanic:
      return InWords("Go " + (cause.what.empty() ? "panic" : cause.what), cause);
    case CauseKind::kRuntimeFatal:
      return InWords(WhoAndWhat(cause), cause);
    case CauseKind::kTerminalQuit:
      return "quit from the terminal (Ctrl-\\)";
  }
  return "";
}

}  // namespace

std::string CauseSentence(const Cause& cause) {
  const std::string sentence = cause.old_sentence.empty() ? Sentence(cause) : cause.old_sentence;
  return cause.guess && !sentence.empty() ? "probably: " + sentence : sentence;
}

}  // namespace obit
