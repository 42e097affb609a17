#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/address_names.h"
#include "analyze/core_image.h"
#include "analyze/data_files.h"
#include "analyze/instruction.h"
#include "analyze/modules.h"
#include "analyze/unwinder.h"
#include "crash/cause.h"
#include "crash/record.h"
#include "crash/report.h"

namespace obit {

/// All there is to tell why a thread died.
struct CrashScene {
  CoreImage& image;
  Modules& modules;
  const AddressNames& names;
  const CrashRecord& record;
  const std::vector<std::uint64_t>& registers;  ///< all that NT_PRSTATUS has, or none
  const RawStack& raw;
  const Stack& stack;  ///< the same with names
  const std::optional<Instruction>& instruction;
  const std::vector<DataFile>& data_files;

  [[nodiscard]] std::uint64_t Register(std::size_t index) const {
    return index < registers.size() ? registers[index] : 0;
  }
  [[nodiscard]] bool IsCanonical(std::uint64_t address) const { return image.arch().is_canonical(address); }
  [[nodiscard]] std::uint64_t pc() const { return Register(image.arch().pc); }
  [[nodiscard]] std::uint64_t sp() const { return Register(image.arch().sp); }
};

[[nodiscard]] Cause FindCause(CrashScene& scene);

/// Somebody sent the signal, or something but an instruction of the thread that died did: its registers say
/// nothing of why.
[[nodiscard]] bool IsSent(const CrashRecord::Signal& signal);

/// A thread with these registers, a whole struct user_regs_struct, is in a system call that sends this
/// signal.
[[nodiscard]] bool IsInSendingCall(std::span<const std::uint64_t> registers, int signal);

// The parts that FindCause puts together.

/// SIGSEGV, SIGBUS.
[[nodiscard]] Cause FindMemoryFault(CrashScene& scene);
/// SIGABRT that the thread sent to itself.
[[nodiscard]] Cause FindAbort(CrashScene& scene);
/// SIGILL, SIGTRAP, SIGFPE.
[[nodiscard]] Cause FindBadInstruction(CrashScene& scene);

/// Index of the frame that made a process send itself the signal it died of, where no handler of a fault did.
/// `raw` is the same stack without names.
[[nodiscard]] std::size_t FrameThatGaveUp(const std::vector<Frame>& frames, const RawStack& raw,
                                          const Architecture& arch);

/// The function of the first frame that is none of the runtime's own (runtime_frames.h), or its module; empty
/// if neither has a name.
[[nodiscard]] std::string OwnFunction(const CrashScene& scene);

}  // namespace obit
