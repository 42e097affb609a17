#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace obit {

/// What killed a process. A kind says what is certain of each death that has it: the facts beside it tell
/// more, where they are known.
enum class CauseKind {
  kUnknown,  ///< the signal is all that is known
  kNullRead,
  kNullWrite,
  kNullCall,
  kUnmappedRead,  ///< no mapping at the address
  kUnmappedWrite,
  kWildPointer,    ///< an address that cannot exist (not canonical)
  kReadProtected,  ///< a mapping that may not be read
  kWriteReadOnly,
  kExecuteNonExecutable,  ///< data, or memory that is not there, was called
  kStackOverflow,
  kHeapCorruption,
  kStackSmashing,
  kFortify,
  kAssert,
  kUncaughtException,
  kPureVirtualCall,
  kRustPanic,
  kAbort,
  kOutOfMemory,
  kDivideByZero,
  kArithmetic,  ///< another SIGFPE
  kTrap,        ///< an instruction that is meant to kill: ud2, int3
  kIllegalInstruction,
  kTruncatedFile,  ///< a mapped file that is shorter than its mapping
  kBusError,
  kBadSystemCall,
  kCpuLimit,
  kFileSizeLimit,
  kKilled,             ///< by a signal that was sent: `sender` says by whom
  kDivisionOverflow,   ///< the quotient does not fit: INT_MIN / -1
  kMisaligned,         ///< an access whose address has to be a multiple of more
  kProtectionKey,      ///< memory that pkey_mprotect(2) took from the thread
  kGeneralProtection,  ///< the processor refused, and not for an address that cannot exist
  kNoFileSpace,        ///< memory of a file system that is full, a tmpfs most of the time
  kNoHugePage,         ///< memory of huge pages of which none is free
  kHardwareMemory,     ///< the hardware lost what was in memory
  kPrivilegedInstruction,
  kSanitizerTrap,    ///< a check that -fsanitize-trap compiled in
  kSanitizerReport,  ///< AddressSanitizer and its like found a bug and gave up
  kTerminate,        ///< std::terminate without an exception: a thread that nobody joined, say
  kGoPanic,          ///< a panic or a throw of the Go runtime
  kRuntimeFatal,     ///< a language's runtime or a library gave up, in its own words: `message`
  kTerminalQuit,     ///< somebody typed Ctrl-\ at the terminal
};
[[nodiscard]] std::string_view NameOf(CauseKind kind);
[[nodiscard]] std::optional<CauseKind> CauseNamed(std::string_view name);

enum class MemoryAccess { kUnknown, kRead, kWrite, kExecute };
[[nodiscard]] std::string_view NameOf(MemoryAccess access);
[[nodiscard]] std::optional<MemoryAccess> AccessNamed(std::string_view name);

/// The control flow that brought a wild address to the processor.
enum class Transfer { kNone, kCall, kReturn };
[[nodiscard]] std::string_view NameOf(Transfer transfer);
[[nodiscard]] std::optional<Transfer> TransferNamed(std::string_view name);

/// Who sent a signal.
enum class SenderKind {
  kProcess,           ///< another process
  kItself,            ///< the thread that died, by raise(3) or kill(2)
  kThread,            ///< another thread of the process
  kTimer,             ///< timer_settime(2)
  kQueue,             ///< the completion of a message queue, or of asynchronous I/O
  kTerminal,          ///< the terminal's driver: a key
  kKernel,            ///< the kernel, for a reason that it does not tell
  kOutsideNamespace,  ///< a process that the pid namespace of the dead one does not show
};
[[nodiscard]] std::string_view NameOf(SenderKind kind);
[[nodiscard]] std::optional<SenderKind> SenderNamed(std::string_view name);

// Parts of a cause.

/// The calls of a stack that overflowed.
struct CauseRecursion {
  std::vector<std::string> functions;  ///< innermost first: a cycle
  std::uint64_t times = 0;             ///< that the cycle was seen
  bool at_least = false;               ///< there is more stack than could be read or unwound
  bool irregular = false;              ///< they call each other in no order: `times` counts their calls
  bool operator==(const CauseRecursion&) const = default;
};

/// Who sent the signal.
struct CauseSender {
  SenderKind kind = SenderKind::kProcess;
  std::optional<pid_t> pid;  ///< in the pid namespace of the process
  std::optional<uid_t> uid;
  bool in_handler = false;  ///< from a signal handler, which had come in Cause::function
  bool operator==(const CauseSender&) const = default;
};

/// The fault that a signal handler was called for before the process died of another signal, or of the same
/// one again: all else of the cause tells of this fault then.
struct CauseFirstFault {
  int signal = 0;
  int code = 0;  ///< si_code
  std::optional<std::uint64_t> address;
  bool operator==(const CauseFirstFault&) const = default;
};

/// Why a process died: facts. The sentence for people is CauseSentence() of present/cause_sentence.h. What is
/// not known is empty. Strings come from cores and binaries: they hold any bytes.
struct Cause {
  CauseKind kind = CauseKind::kUnknown;
  bool guess = false;  ///< the kind is likely, and not proved

  MemoryAccess access = MemoryAccess::kUnknown;
  Transfer transfer = Transfer::kNone;
  std::optional<std::uint64_t> address;  ///< that was accessed, called or returned to
  std::string place;                     ///< what is mapped there: a path, "[heap]"
  std::string reg;                       ///< the register that the pointer, or the divisor, was in: "rdi"
  std::string instruction;               ///< text or bytes of it, where it says why: "hlt", "movaps (%rdi)"
  std::uint32_t alignment = 0;           ///< bytes of which the address should have been a multiple

  using Recursion = CauseRecursion;
  std::optional<Recursion> recursion;

  std::string function;        ///< of the program's own, in which it happened
  std::string expression;      ///< what was asserted
  std::string type;            ///< of an exception
  std::string message;         ///< the runtime's own words: of an assert, abort or panic
  bool message_guess = false;  ///< `message` was found in an exception, and its what() may say something else
  std::string runtime;      ///< whose words these are: "GLib", "Go"; empty: the C library's or the program's
  std::string what;         ///< in a few words, what of the kind it was: "buffer overflow detected", "int3"
  std::string system_call;  ///< "59 (execve)"

  using Sender = CauseSender;
  std::optional<Sender> sender;

  using FirstFault = CauseFirstFault;
  std::optional<FirstFault> first_fault;

  /// The sentence of a report of schema 1, which had no facts.
  std::string old_sentence;
  bool operator==(const Cause&) const = default;
};

}  // namespace obit
