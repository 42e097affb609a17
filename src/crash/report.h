#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "crash/cause.h"

namespace obit {

/// How the caller of a frame was found; of the innermost frame: from the registers.
enum class FrameOrigin {
  kRegisters,
  kCfi,            ///< call frame information, .eh_frame or .debug_frame
  kFramePointer,   ///< the chain of saved frame pointers: a guess
  kReturnAddress,  ///< the word on top of the stack: behind a call that went nowhere, or into a function
                   ///< without a frame of its own (a guess)
  kScan,           ///< a word on the stack that looks like a return address: a guess
};
[[nodiscard]] std::string_view NameOf(FrameOrigin origin);
[[nodiscard]] std::optional<FrameOrigin> OriginNamed(std::string_view name);

/// A function that had been called and had not returned.
struct Frame {
  std::uint64_t pc = 0;  ///< of the innermost frame; else where the function will go on
  std::string function;  ///< demangled; empty if there is no name
  std::string symbol;    ///< as the linker knows it; empty if that is `function`
  /// The function that the symbol table has there (demangled), where that is another one than `function`: of
  /// two that the compiler made one. A program without debug information has only this name.
  std::string linked_as;
  std::optional<std::uint64_t> offset;  ///< of pc in the function, bytes; not for inlined ones
  std::string file;  ///< source file as the debug information names it; empty if there is none
  std::uint32_t line = 0;
  bool inlined = false;      ///< into the next frame
  bool interrupted = false;  ///< a signal came here: the frame before is its handler's trampoline
  FrameOrigin origin = FrameOrigin::kRegisters;
  std::optional<std::uint32_t> module;  ///< index in Report::modules
  std::uint64_t module_offset = 0;      ///< of pc, as in the module's own file
  bool operator==(const Frame&) const = default;
};

/// The frames of one thread, or of several that have the same ones.
struct Stack {
  std::vector<pid_t> tids;    ///< in the process' own pid namespace
  std::vector<Frame> frames;  ///< innermost first
  /// A recursion: frames[first, first + count) stand for `times` repetitions of themselves.
  struct Fold {
    std::uint32_t first = 0, count = 0;
    std::uint64_t times = 0;
    bool operator==(const Fold&) const = default;
  };
  std::vector<Fold> folds;
  std::string end;  ///< why it is not complete; empty if it is
  bool operator==(const Stack&) const = default;
};

/// A file that was mapped as program or library.
struct Module {
  std::string path;
  std::string build_id;              ///< hex; empty if unknown
  std::uint64_t begin = 0, end = 0;  ///< addresses
  std::string package;               ///< "libc6 2.36-9"; empty if unknown
  std::string symbols;  ///< where names came from: "debug file", "module", "memory"; empty: nowhere
  bool lines = false;   ///< source lines are known
  std::string problem;  ///< why it could not be used: "replaced since", "not found"
  bool operator==(const Module&) const = default;
};

/// The instruction that a thread was at when the processor refused it.
struct FaultingInstruction {
  std::uint64_t address = 0;
  std::string bytes;  ///< hex
  std::string text;   ///< "mov 0x18(%rdi),%rax"; empty if it is none
  bool operator==(const FaultingInstruction&) const = default;
};

/// What the analysis of a core said: plain data, report.json (docs/store-format.md describes each field
/// there). Replaced as a whole by each new analysis. Strings come from cores and binaries: they hold any
/// bytes and are escaped only when written as JSON or printed.
struct Report {
  static constexpr int kSchema = 2;
  static constexpr int kOldestSchema = 1;  ///< that is read

  std::string id;         ///< of the crash
  int schema = kSchema;   ///< that it was written in: an older one says less
  std::int64_t time = 0;  ///< of the analysis, ns since 1970
  double seconds = 0;     ///< that it took
  std::string failure;    ///< why there is not more; empty after a whole analysis

  Cause cause;

  /// Made from the crashing thread's frames (FindFingerprint); empty if there are none to go by. Reports with
  /// one version and one value are one group.
  struct Fingerprint {
    static constexpr int kVersion = 2;
    int version = kVersion;
    std::string value;                ///< 16 hex digits
    std::vector<std::string> frames;  ///< what it is made of
    bool operator==(const Fingerprint&) const = default;
  } fingerprint;

  std::vector<Stack> stacks;  ///< the first one crashed
  /// In the first stack: the frame that the cause is about. Not the innermost one where a signal handler ran
  /// afterwards: for the fault that came there, or the signal that the process sent to itself, as by
  /// abort(3).
  std::optional<std::uint32_t> cause_frame;
  /// In the first stack: the innermost frame that is the program's own and not of a language's runtime.
  std::optional<std::uint32_t> own_frame;
  std::uint64_t threads = 0;  ///< of the process, in the core

  struct Register {
    std::string name;
    std::uint64_t value = 0;
    std::string about;  ///< what it points into; empty if nothing
    bool operator==(const Register&) const = default;
  };
  std::vector<Register> registers;  ///< of the crashing thread

  std::optional<FaultingInstruction> instruction;  ///< the one that faulted

  struct Memory {
    std::string label;  ///< "pc", "sp", "fault"
    std::uint64_t address = 0;
    std::string bytes;  ///< raw
    bool operator==(const Memory&) const = default;
  };
  std::vector<Memory> memory;

  std::vector<Module> modules;

  struct Mapping {
    std::uint64_t begin = 0, end = 0;
    std::string access;  ///< "r-x"
    std::string name;    ///< of the file, "[stack]", "[heap]"; empty if unknown
    bool operator==(const Mapping&) const = default;
  };
  /// "NAME=value", as the process was started with it; what the setting lets through (crash/environment.h).
  std::vector<std::string> environment;
  static constexpr std::size_t kMappingsMax = 4096;
  std::vector<Mapping> mappings;  ///< the first kMappingsMax
  std::uint64_t mappings_total = 0;
  bool operator==(const Report&) const = default;
};

/// Leaves out what the process had in memory and in registers, and its environment: what is left tells which
/// of its code ran, and where that lay.
void ForgetMemory(Report& report);

}  // namespace obit
