// A crash reporter, a language's runtime, a database: many programs catch SIGSEGV, say something, and then
// die of abort() or of the same signal once more. What killed them is the fault that the handler was called
// for. The kernel left all of it on the stack: struct rt_sigframe (signal_frame.h). It is found in three
// ways:
//
//  1. The unwinder comes through it, by the call frame information of the trampoline or by its instructions.
//  2. It does not: the handler is of a program without such information. Then each word above the last frame
//     that is certain may lead to a trampoline, and have such a frame above it. Chance does not make one; but
//     it may be of an earlier signal, whose handler has returned: that is a guess.
//  3. The handler sent the signal again while it was blocked, and returned. The kernel restored the registers
//     and then let the signal through: the thread is at the instruction that faulted, in no system call, and
//     the frame is still in memory, with just these registers.
//
// Everything read here is of the dead process, and may be made to mislead: it is bounded, and no more is
// believed than what a signal handler of the process could have told as well.

#include "analyze/first_fault.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <unordered_map>

#include <elf.h>

#include "analyze/registers.h"
#include "analyze/trap.h"

namespace obit {
namespace {

constexpr std::size_t kRip = 16, kRsp = 19, kOrigRax = 15;  // in struct user_regs_struct
/// Above the last frame that was found.
constexpr std::uint64_t kStackSearched = 1 << 20;
/// Signal frames that the unwinder did not know, in one stack.
constexpr int kGuessesMax = 8;
/// In which a frame is looked for that a handler has left behind: an alternate stack may lie anywhere.
constexpr std::uint64_t kMemorySearched = 64 << 20;
constexpr std::uint64_t kChunk = 64 * 1024;
/// From a ucontext to the stack pointer in it, bytes; the instruction pointer follows.
constexpr std::uint64_t kToSp = (5 + 15) * sizeof(std::uint64_t);

class Finder {
 public:
  Finder(CoreImage& image, Unwinder& unwinder, const CrashRecord& record,
         const std::vector<std::uint64_t>& registers, RawStack& raw)
      : image_(image), unwinder_(unwinder), record_(record), registers_(registers), raw_(raw) {}

  std::optional<FirstFault> Find() {
    if (registers_.size() != image_.arch().register_count) return std::nullopt;
    GoOnFromTrampolines();
    if (auto found = OnStack()) return found;
    if (IsSentByItself(record_) && ScanAbove()) {
      auto found = OnStack();
      if (found) found->guess = true;
      return found;
    }
    return LeftBehind();
  }

 private:
  bool IsTrampolineCode(std::uint64_t pc) {
    // A recursion has a million frames at a few addresses.
    std::uint64_t& recent = recent_[pc % recent_.size()];
    if (recent == pc) return false;
    const auto [known, is_new] = trampolines_.try_emplace(pc, false);
    if (is_new) known->second = IsTrampoline(image_, pc);
    if (!known->second) recent = pc;
    return known->second;
  }

  /// Whether this frame is of a fault, and that counts as what the process died of.
  bool Counts(SignalFrame& frame) const {
    const bool lost = frame.signal == SIGBUS && (frame.code == BUS_MCEERR_AR || frame.code == BUS_MCEERR_AO);
    if (!frame.is_whole() && !lost && !TellByTrap(image_, frame)) return false;
    // A breakpoint is no error: a handler for it may go wrong in a way of its own.
    const auto& signal = record_.signal;
    return frame.signal != SIGTRAP || signal.sender_pid || signal.number == SIGTRAP;
  }

  /// Libraries other than glibc tell nothing of their trampoline: the unwinder has guessed what lies above.
  void GoOnFromTrampolines() {
    int left = kGuessesMax;
    for (std::size_t i = 1; i < raw_.frames.size() && left > 0; ++i) {
      const RawFrame& frame = raw_.frames[i];
      if (frame.trampoline || !IsTrampolineCode(frame.pc)) continue;
      const auto caught = ReadSignalFrame(image_, frame.sp, registers_);
      if (!caught) continue;
      GoOn(i + 1, *caught);
      --left;
    }
  }

  /// The first `count` frames stay, and then come those of the moment of `caught`.
  void GoOn(std::size_t count, const SignalFrame& caught) {
    raw_.frames.resize(count);
    raw_.registers.erase(
        raw_.registers.begin() + static_cast<std::ptrdiff_t>(std::min(raw_.registers.size(), count)),
        raw_.registers.end());
    raw_.frames.back().trampoline = true;
    RawStack above = unwinder_.Unwind(Registers(image_.arch(), caught.registers));
    for (RawFrame& frame : above.frames)
      if (frame.origin == FrameOrigin::kRegisters) frame.origin = FrameOrigin::kCfi;
    if (raw_.registers.size() == count)
      for (const Registers& one : above.registers)
        if (raw_.registers.size() < RawStack::kRegistersKept) raw_.registers.push_back(one);
    const std::size_t room = Unwinder::kFramesMax - std::min(Unwinder::kFramesMax, count);
    if (above.frames.size() > room) above.frames.resize(room);
    raw_.frames.insert(raw_.frames.end(), above.frames.begin(), above.frames.end());
    raw_.end = std::move(above.end);
  }

  /// The outermost of those on the stack is the first in time. A breakpoint counts if there is no other.
  std::optional<FirstFault> OnStack() {
    std::optional<FirstFault> breakpoint;
    for (std::size_t i = raw_.frames.size(); i-- > 0;) {
      if (!raw_.frames[i].trampoline) continue;
      auto caught = ReadSignalFrame(image_, raw_.frames[i].sp, registers_);
      if (!caught || !Counts(*caught)) continue;
      FirstFault found{std::move(*caught), i + 1};
      if (found.frame.signal != SIGTRAP) return found;
      if (!breakpoint) breakpoint = std::move(found);
    }
    return breakpoint;
  }

  /// Where guesses begin, a signal frame may lie that they passed by. True: frames were added.
  bool ScanAbove() {
    const auto is_guess = [](const RawFrame& frame) {
      return frame.origin == FrameOrigin::kScan || frame.origin == FrameOrigin::kFramePointer;
    };
    std::size_t sure = 1;
    while (sure < raw_.frames.size() && !is_guess(raw_.frames[sure])) ++sure;
    if (sure == raw_.frames.size() && raw_.end.empty()) return false;
    for (int found = 0; found < kGuessesMax; ++found) {
      const std::uint64_t from = (raw_.frames[sure - 1].sp + 7) & ~std::uint64_t{7};
      const auto at = ScanFrom(from);
      if (!at) return found > 0;
      // What was guessed below it may be right.
      while (sure < raw_.frames.size() && raw_.frames[sure].sp > from && raw_.frames[sure].sp <= at->first)
        ++sure;
      raw_.frames.resize(sure);
      raw_.frames.push_back({.pc = at->second.trampoline, .sp = at->first + 8, .origin = FrameOrigin::kScan});
      GoOn(raw_.frames.size(), at->second.frame);
      sure = raw_.frames.size();
      if (raw_.end.empty()) return true;
    }
    return true;
  }

  struct Scanned {
    std::uint64_t trampoline;
    SignalFrame frame;
  };
  /// The first word from there on that leads to a trampoline, and has the frame of a fault above it.
  std::optional<std::pair<std::uint64_t, Scanned>> ScanFrom(std::uint64_t from) {
    const CoreImage::Mapping* stack = image_.Find(from);
    if (stack == nullptr || (stack->flags & PF_W) == 0) return std::nullopt;
    const std::uint64_t end = from + std::min(stack->end - from, kStackSearched);
    for (std::uint64_t at = from; at + 8 < end; at += 8) {
      const auto word = image_.ReadWord(at);
      if (!word) return std::nullopt;
      if (!image_.IsExecutable(*word) || !IsTrampolineCode(*word)) continue;
      auto caught = ReadSignalFrame(image_, at + 8, registers_);
      if (caught && Counts(*caught)) return std::pair(at, Scanned{*word, std::move(*caught)});
    }
    return std::nullopt;
  }

  std::optional<FirstFault> LeftBehind() {
    // rt_sigreturn(2) leaves this behind, as interrupts do; who died in kill(2) has its number there.
    if (!IsSentByItself(record_) || registers_[kOrigRax] != UINT64_MAX) return std::nullopt;
    const std::uint64_t sp = registers_[kRsp];
    std::uint64_t left = kMemorySearched;
    std::vector<CoreImage::Mapping> places;
    for (const CoreImage::Mapping& one : image_.mappings())
      if ((one.flags & PF_W) != 0) places.push_back(one);
    // The thread's own stack first, and what is small.
    std::ranges::stable_sort(places, {}, [&](const CoreImage::Mapping& one) {
      return one.begin <= sp && sp < one.end ? 0 : one.size();
    });
    for (const CoreImage::Mapping& place : places) {
      for (std::uint64_t at = place.begin; at < place.end && left > 0;) {
        const std::uint64_t count = std::min({kChunk, place.end - at, left});
        if (auto found = Search(at, count)) return found;
        // The pair that is looked for may lie across two chunks.
        left -= count;
        at += count == kChunk ? count - 8 : count;
      }
    }
    return std::nullopt;
  }

  std::optional<FirstFault> Search(std::uint64_t begin, std::uint64_t count) {
    std::array<std::uint64_t, kChunk / 8> words;
    const std::size_t got = image_.Read(begin, std::as_writable_bytes(std::span(words)).first(count)) / 8;
    for (std::size_t i = 0; i + 1 < got; ++i) {
      if (words[i] != registers_[kRsp] || words[i + 1] != registers_[kRip]) continue;
      const std::uint64_t sp_at = begin + i * 8;
      if (sp_at < kToSp) continue;
      auto caught = ReadSignalFrame(image_, sp_at - kToSp, registers_);
      if (!caught) continue;
      std::vector<std::uint64_t> then = caught->registers;
      then[18] = registers_[18];  // the processor's flag to resume is set when a signal is delivered
      if (then == registers_ && Counts(*caught)) return FirstFault{std::move(*caught), 0};
    }
    return std::nullopt;
  }

  CoreImage& image_;
  Unwinder& unwinder_;
  const CrashRecord& record_;
  const std::vector<std::uint64_t>& registers_;
  RawStack& raw_;
  std::unordered_map<std::uint64_t, bool> trampolines_;  // by pc
  std::array<std::uint64_t, 61> recent_{};               // pcs that are none
};

}  // namespace

CrashRecord FirstFault::RecordOf(const CrashRecord& record) const {
  CrashRecord then = record;
  then.signal = {.number = frame.signal, .code = frame.code, .address = frame.address};
  return then;
}

std::optional<FirstFault> FindFirstFault(CoreImage& image, Unwinder& unwinder, const CrashRecord& record,
                                         const std::vector<std::uint64_t>& registers, RawStack& raw) {
  return Finder(image, unwinder, record, registers, raw).Find();
}

}  // namespace obit
