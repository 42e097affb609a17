// A stack is found one caller at a time: where has this function left its return address, and the registers
// that it saved? The process has just broken, so its registers, stack and tables may hold anything, and
// pages of it may be missing. A stack that ends at the first doubt hides the frame that matters; one that
// takes guesses for facts accuses the wrong function.
//
// So each step takes the best evidence that there is, and the frame says which that was (FrameOrigin):
//  1. Call frame information, which the compiler wrote. libdw finds the row of an address; its expressions
//     are evaluated here, in bounded steps and with no other memory than the image's (analyze/expression.h).
//  2. Where a function can be at any instruction (the innermost frame, and what a signal came to), the word
//  on
//     top of the stack: a call to where no code is has just pushed it, and a function that makes no frame has
//     left it there (which counts only if that call leads to a little before `pc`). vfork(2) keeps it in a
//     register, since its child has the same stack.
//  3. The frame pointer, if it points into the segment of the stack, above the stack pointer.
//  4. The first word in kScanBytes of stack that can be a return address: at most kScansMax times.
// In 2 to 4 a word can be a return address only if it is behind a call instruction, by the bytes that are
// there.
//
// What a signal handler returns to is known by its call frame information, or by its bytes: Go and musl say
// nothing of theirs. The kernel's record of the registers then is on top of the stack.
//
// Go's handler makes the thread go on in runtime.sigpanic() as if the instruction that faulted had called it.
//
// A return address is behind its call, where another function may begin already. So a frame is looked up one
// byte before (RawFrame::lookup), but for one that was interrupted: the innermost, and the one that a signal
// came to, which the call frame information of the signal's trampoline tells.
//
// A reader can rely on this: Unwind() comes to an end whatever the core holds, since the stack pointer goes
// up with each frame but a trampoline's (handlers may have a stack of their own) and frames are counted. A
// deep recursion has a million frames at few addresses, so rows are kept. It does not fail: it gives the
// frames that it found, and says why there are no more, unless the outermost was reached, whose row or
// return address says so.

#include "analyze/unwinder.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "analyze/calls.h"
#include "analyze/expression.h"
#include "analyze/signal_frame.h"

namespace obit {
namespace {

constexpr std::size_t kRowsMax = 1 << 20;
constexpr std::uint64_t kScanBytes = 4096;
constexpr int kScansMax = 3;  // in one stack: guesses on guesses help nobody

struct Free {
  void operator()(Dwarf_Frame* frame) const { std::free(frame); }
};

}  // namespace

/// What call frame information says of one address. libdw computes it once; frames of one function are many.
struct Unwinder::Row {
  std::unique_ptr<Dwarf_Frame, Free> frame;  // null: there is no information
  bool signal = false;
  bool injected = false;          ///< the caller did not call: the handler of a signal made it look so
  bool before_sigreturn = false;  ///< the next address begins what a signal handler returns to
  int return_register = -1;
};

Unwinder::Unwinder(CoreImage& image, Modules& modules, std::size_t frames_of_all)
    : image_(image), modules_(modules), arch_(image.arch()), frames_of_all_(frames_of_all) {}
Unwinder::~Unwinder() = default;

bool Unwinder::IsGoSigpanic(std::uint32_t module, std::uint64_t address) {
  const auto [known, is_new] = sigpanics_.try_emplace(module);
  if (is_new) known->second = modules_.FindSymbol(module, "runtime.sigpanic");
  const auto& symbol = known->second;
  return symbol && address >= symbol->address && address - symbol->address < symbol->bytes;
}

const Unwinder::Row* Unwinder::RowOf(std::uint64_t address) {
  if (const auto found = rows_.find(address); found != rows_.end()) return found->second.get();
  if (rows_.size() >= kRowsMax) rows_.clear();
  auto row = std::make_unique<Row>();
  const auto index = modules_.Find(address);
  Dwfl_Module* module = index ? modules_.handle(*index) : nullptr;
  if (module != nullptr) {
    Dwarf_Frame* frame = nullptr;
    for (auto* get : {::dwfl_module_eh_cfi, ::dwfl_module_dwarf_cfi}) {
      Dwarf_Addr bias = 0;
      Dwarf_CFI* cfi = get(module, &bias);
      if (cfi != nullptr && ::dwarf_cfi_addrframe(cfi, address - bias, &frame) == 0) break;
      frame = nullptr;
    }
    row->frame.reset(frame);
    if (frame != nullptr) row->return_register = ::dwarf_frame_info(frame, nullptr, nullptr, &row->signal);
    if (row->return_register < 0) row->frame.reset();
  }
  if (module != nullptr && modules_.IsGo(*index)) row->injected = IsGoSigpanic(*index, address);
  row->before_sigreturn = !(row->frame && row->signal) && IsTrampoline(image_, address + 1);
  return rows_.emplace(address, std::move(row)).first->second.get();
}

/// The handler has returned: the kernel's frame is on top of the stack.
bool Unwinder::StepOutOfHandler(const Registers& trampoline, Registers& interrupted) const {
  constexpr std::uint64_t kFlagsMax = 0xff;  // uc_flags has three bits today
  const std::uint64_t context = trampoline.sp() + arch_.signal_frame.context;
  const auto flags = image_.ReadWord(context), link = image_.ReadWord(context + 8);
  if (!flags || *flags > kFlagsMax || link != 0) return false;
  std::uint64_t at = context + arch_.signal_frame.registers;
  for (const unsigned number : arch_.signal_frame.order) {
    const auto value = image_.ReadWord(at);
    if (!value) return false;
    interrupted.Set(number, *value);
    at += sizeof *value;
  }
  return true;
}

Unwinder::Step Unwinder::StepByCfi(const Row& row, const Registers& callee, Registers& caller) const {
  const ReadMemoryWord read = [this](std::uint64_t address) { return image_.ReadWord(address); };
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (::dwarf_frame_cfa(row.frame.get(), &operations, &count) != 0 || count == 0) return Step::kUnknown;
  const auto cfa = Evaluate({operations, count}, callee, std::nullopt, read);
  if (!cfa) return Step::kUnknown;
  for (unsigned number = 0; number < callee.count(); ++number) {
    std::array<Dwarf_Op, 3> memory{};
    if (::dwarf_frame_register(row.frame.get(), static_cast<int>(number), memory.data(), &operations,
                               &count) != 0)
      continue;
    const bool is_return = static_cast<int>(number) == row.return_register;
    if (count == 0) {
      // libdw's way to tell apart "same value" (no operations at all) and "undefined" (its caller's memory).
      if ((operations == nullptr && number != arch_.cfi_not_same) || number == arch_.cfi_same) {
        if (const auto same = callee.Get(number)) caller.Set(number, *same);
      } else if (is_return) {
        return Step::kOutermost;
      }
      continue;
    }
    const auto location = Evaluate({operations, count}, callee, cfa->value, read);
    const auto value = !location              ? std::nullopt
                       : location->is_address ? image_.ReadWord(location->value)
                                              : std::optional(location->value);
    if (value) caller.Set(number, *value);
    if (value && is_return) caller.SetPc(arch_.code_address(*value));
    if (!value && is_return) return Step::kUnknown;
  }
  // The ABI defines the CFA as the caller's stack pointer; a signal frame says otherwise by a rule of its
  // own.
  if (!row.signal || !caller.Get(arch_.dwarf_sp)) caller.SetSp(cfa->value);
  if (!caller.has_pc()) return Step::kUnknown;
  return caller.pc() == 0 ? Step::kOutermost : Step::kCaller;
}

/// Behind a call that went nowhere the return address is where the call has just left it: on top of the
/// stack, or in the link register.
bool Unwinder::StepByReturnAddress(const Registers& callee, Registers& caller) const {
  auto address = arch_.dwarf_link ? callee.Get(*arch_.dwarf_link) : image_.ReadWord(callee.sp());
  if (address) address = arch_.code_address(*address);
  if (!address || !IsReturnAddress(image_, *address)) return false;
  caller = callee;
  caller.SetPc(*address);
  if (!arch_.dwarf_link) caller.SetSp(callee.sp() + sizeof *address);
  return true;
}

/// A function that makes no frame leaves the stack as the call left it. The call says where it went: a little
/// before `pc`.
bool Unwinder::StepOutOfLeaf(const Registers& callee, Registers& caller) const {
  constexpr std::uint64_t kFunctionMax = 4096;
  if (!StepByReturnAddress(callee, caller)) return false;
  const auto target = TargetOfCallBefore(image_, caller.pc());
  return target && *target <= callee.pc() && callee.pc() - *target < kFunctionMax;
}

/// The child of vfork(2) has its parent's stack, so libraries keep the return address in a register
/// meanwhile.
bool Unwinder::StepOutOfVfork(const Registers& callee, Registers& caller) const {
  std::string code(arch_.vfork.size(), '\0');
  if (code.empty() ||
      image_.Read(callee.pc() - code.size(), std::as_writable_bytes(std::span(code))) != code.size() ||
      code != arch_.vfork)
    return false;
  for (const unsigned number : arch_.vfork_registers) {
    const auto address = callee.Get(number);
    if (!address || !IsReturnAddress(image_, *address)) continue;
    caller = callee;
    caller.SetPc(*address);
    return true;
  }
  return false;
}

bool Unwinder::StepByFramePointer(const Registers& callee, bool injected, Registers& caller) const {
  const auto pointer = callee.Get(arch_.dwarf_frame);
  if (!pointer || *pointer < callee.sp() || *pointer % sizeof(std::uint64_t) != 0) return false;
  const CoreImage::Mapping* stack = image_.Find(callee.sp());
  if (stack == nullptr || image_.Find(*pointer) != stack) return false;
  const auto saved = image_.ReadWord(*pointer), address = image_.ReadWord(*pointer + 8);
  if (!saved || !address) return false;
  const std::uint64_t code = arch_.code_address(*address);
  if (!IsReturnAddress(image_, code) && !IsTrampoline(image_, code) &&
      !(injected && image_.IsExecutable(code)))
    return false;
  caller.Set(arch_.dwarf_frame, *saved);
  caller.SetPc(code);
  caller.SetSp(*pointer + 16);
  return true;
}

bool Unwinder::StepByScan(const Registers& callee, Registers& caller) const {
  for (std::uint64_t at = callee.sp(); at - callee.sp() < kScanBytes; at += sizeof(std::uint64_t)) {
    const auto address = image_.ReadWord(at);
    if (!address) return false;
    if (!IsReturnAddress(image_, *address) && !IsTrampoline(image_, *address)) continue;
    if (const auto pointer = callee.Get(arch_.dwarf_frame)) caller.Set(arch_.dwarf_frame, *pointer);
    caller.SetPc(*address);
    caller.SetSp(at + sizeof(std::uint64_t));
    return true;
  }
  return false;
}

std::string Unwinder::WhyNot(const RawFrame& frame) const {
  if (!image_.Promises(frame.sp))
    return fmt::format(
        "the stack at {:#x} {} the core", frame.sp,
        image_.is_minimal() && image_.Find(frame.sp) != nullptr ? "was left out of" : "is not in");
  if (!image_.ReadWord(frame.sp)) return fmt::format("the core ends before the stack at {:#x}", frame.sp);
  if (!image_.IsExecutable(frame.pc)) return fmt::format("{:#x} is not code: the stack is damaged", frame.pc);
  const auto index = modules_.Find(frame.pc);
  if (!index) return fmt::format("{:#x} is code without a file, made at run time", frame.pc);
  const Module& module = modules_.files(*index).module;
  if (!module.problem.empty()) return fmt::format("{}: {}", module.path, module.problem);
  return fmt::format("{} says nothing of the caller of {:#x}", module.path, frame.pc);
}

bool Unwinder::Guess(const RawFrame& frame, bool injected, const Registers& callee, int& scans,
                     Registers& caller, FrameOrigin& origin) const {
  const auto guess = [&](auto method, FrameOrigin by) {
    caller = Registers(arch_);
    if (!(this->*method)(callee, caller)) return false;
    origin = by;
    return true;
  };
  if (frame.exact && !image_.IsExecutable(frame.pc)) {
    if (guess(&Unwinder::StepByReturnAddress, FrameOrigin::kReturnAddress)) return true;
  } else if (frame.exact) {
    if (guess(&Unwinder::StepOutOfVfork, FrameOrigin::kReturnAddress) ||
        guess(&Unwinder::StepOutOfLeaf, FrameOrigin::kReturnAddress))
      return true;
  }
  caller = Registers(arch_);
  origin = FrameOrigin::kFramePointer;
  if (StepByFramePointer(callee, injected, caller)) return true;
  return scans++ < kScansMax && guess(&Unwinder::StepByScan, FrameOrigin::kScan);
}

RawStack Unwinder::Unwind(const Registers& innermost) {
  RawStack stack;
  if (!innermost.has_pc()) {
    stack.end = "its registers are not known";
    return stack;
  }
  const std::size_t most = frames_ < frames_of_all_ ? kFramesMax : kFramesLeft;
  Registers registers = innermost;
  RawFrame frame{.pc = registers.pc(), .sp = registers.sp(), .exact = true};
  int scans = 0;
  for (;;) {
    const Row& row = *RowOf(frame.lookup());
    const bool sigreturn = !frame.exact && row.before_sigreturn;
    frame.trampoline = sigreturn || (row.frame != nullptr && row.signal);
    stack.frames.push_back(frame);
    ++frames_;
    if (stack.registers.size() < RawStack::kRegistersKept) stack.registers.push_back(registers);
    if (stack.frames.size() >= most) {
      stack.end = "there are more frames";
      return stack;
    }
    Registers caller(arch_);
    FrameOrigin origin = FrameOrigin::kCfi;
    Step step = Step::kUnknown;
    if (sigreturn) {
      if (StepOutOfHandler(registers, caller)) step = Step::kCaller;
    } else if (row.frame != nullptr) {
      step = StepByCfi(row, registers, caller);
    }
    if (step == Step::kOutermost) return stack;
    if (step == Step::kUnknown) {
      if (!Guess(frame, row.injected, registers, scans, caller, origin)) {
        stack.end = WhyNot(frame);
        return stack;
      }
    }
    // A caller's frame lies above; only a signal handler may have a stack of its own. What can be at any
    // instruction may have given its part of the stack back.
    const bool moves = frame.exact ? caller.sp() >= registers.sp() : caller.sp() > registers.sp();
    if (!moves && !frame.trampoline) {
      stack.end = fmt::format("the stack pointer does not move at {:#x}", frame.pc);
      return stack;
    }
    frame = {
        .pc = caller.pc(), .sp = caller.sp(), .origin = origin, .exact = frame.trampoline || row.injected};
    registers = caller;
    // A signal may have come of a jump to where no code is; a call leads back into code.
    if (origin == FrameOrigin::kCfi && !frame.exact && !image_.IsExecutable(frame.lookup())) {
      stack.end = fmt::format("{:#x} is not code: the stack is damaged", frame.pc);
      return stack;
    }
  }
}

}  // namespace obit
