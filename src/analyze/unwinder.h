#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <elfutils/libdw.h>

#include "analyze/core_image.h"
#include "analyze/modules.h"
#include "analyze/registers.h"
#include "crash/report.h"

namespace obit {

/// A frame before it has names.
struct RawFrame {
  std::uint64_t pc = 0;
  std::uint64_t sp = 0;
  FrameOrigin origin = FrameOrigin::kRegisters;
  /// `pc` is the instruction that was to be executed: in the innermost frame, and where a signal came. Else
  /// it is a return address, behind the call.
  bool exact = false;
  bool trampoline = false;  ///< what a signal handler returns to; the next frame was interrupted

  /// An address inside the instruction that the frame is at.
  [[nodiscard]] std::uint64_t lookup() const { return exact || trampoline || pc == 0 ? pc : pc - 1; }
};

struct RawStack {
  std::vector<RawFrame> frames;      ///< innermost first
  std::vector<Registers> registers;  ///< of the first kRegistersKept frames
  std::string end;                   ///< why there are not more; empty if the outermost is there
  static constexpr std::size_t kRegistersKept = 32;
};

/// Finds the callers of a thread's innermost function: by call frame information where there is any, else by
/// frame pointers and return addresses, which is a guess.
class Unwinder {
 public:
  /// `frames_of_all`: tests have less.
  Unwinder(CoreImage& image, Modules& modules, std::size_t frames_of_all = kFramesOfAll);
  ~Unwinder();

  /// Bounded: kFramesMax, and a stack pointer that moves. Once all stacks together have kFramesOfAll frames,
  /// each further one ends after kFramesLeft.
  [[nodiscard]] RawStack Unwind(const Registers& innermost);

  /// More than a stack of 64 MiB with frames of 32 bytes.
  static constexpr std::size_t kFramesMax = 1 << 21;
  static constexpr std::size_t kFramesOfAll = 3 * kFramesMax, kFramesLeft = 64;

 private:
  struct Row;
  enum class Step { kCaller, kOutermost, kUnknown };

  const Row* RowOf(std::uint64_t address);
  bool IsGoSigpanic(std::uint32_t module, std::uint64_t address);
  Step StepByCfi(const Row& row, const Registers& callee, Registers& caller) const;
  bool StepByReturnAddress(const Registers& callee, Registers& caller) const;
  bool StepOutOfLeaf(const Registers& callee, Registers& caller) const;
  bool StepOutOfVfork(const Registers& callee, Registers& caller) const;
  bool StepOutOfHandler(const Registers& trampoline, Registers& interrupted) const;
  bool StepByFramePointer(const Registers& callee, bool injected, Registers& caller) const;
  bool StepByScan(const Registers& callee, Registers& caller) const;
  bool Guess(const RawFrame& frame, bool injected, const Registers& callee, int& scans, Registers& caller,
             FrameOrigin& origin) const;
  std::string WhyNot(const RawFrame& frame) const;

  CoreImage& image_;
  Modules& modules_;
  const Architecture& arch_;
  const std::size_t frames_of_all_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Row>> rows_;
  std::unordered_map<std::uint32_t, std::optional<Modules::Symbol>> sigpanics_;  // by module
  std::size_t frames_ = 0;                                                       // of all stacks
};

}  // namespace obit
