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
#include <cstring>

#include "analyze/expression.h"

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

Unwinder::Unwinder(CoreImage& image, Modules& modules) : image_(image), modules_(modules) {}
Unwinder::~Unwinder() = default;

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
  if (module != nullptr && modules_.IsGo(*index)) {
    const char* name = ::dwfl_module_addrname(module, address);
    row->injected = name != nullptr && std::string_view(name) == "runtime.sigpanic";
  }
  row->before_sigreturn = !(row->frame && row->signal) && IsSigreturn(address + 1);
  return rows_.emplace(address, std::move(row)).first->second.get();
}

/// rt_sigreturn(2) and nothing else, as libraries of languages write it.
bool Unwinder::IsSigreturn(std::uint64_t address) const {
  using namespace std::string_view_literals;
  constexpr std::string_view kWays[] = {"\xb8\x0f\0\0\0\x0f\x05"sv,          // mov $15,%eax; syscall
                                        "\x48\xc7\xc0\x0f\0\0\0\x0f\x05"sv,  // mov $15,%rax; syscall
                                        "\x6a\x0f\x58\x0f\x05"sv};           // push $15; pop %rax; syscall
  if (!image_.IsExecutable(address)) return false;
  std::array<char, 9> bytes;
  const std::size_t got = image_.Read(address, std::as_writable_bytes(std::span(bytes)));
  const std::string_view code(bytes.data(), got);
  return std::ranges::any_of(kWays, [&](std::string_view way) { return code.starts_with(way); });
}

/// The handler has returned: the kernel's struct ucontext (asm-generic/ucontext.h, asm/sigcontext.h) is on
/// top of the stack.
bool Unwinder::StepOutOfHandler(const Registers& trampoline, Registers& interrupted) const {
  constexpr std::uint64_t kRegisters = 40, kFlagsMax = 0xff;  // bytes; uc_flags has three bits today
  // As DWARF numbers them: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
  constexpr unsigned kNumbers[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, Registers::kPc};
  const auto flags = image_.ReadWord(trampoline.sp()), link = image_.ReadWord(trampoline.sp() + 8);
  if (!flags || *flags > kFlagsMax || link != 0) return false;
  std::uint64_t at = trampoline.sp() + kRegisters;
  for (const unsigned number : kNumbers) {
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
  for (unsigned number = 0; number < Registers::kCount; ++number) {
    std::array<Dwarf_Op, 3> memory{};
    if (::dwarf_frame_register(row.frame.get(), static_cast<int>(number), memory.data(), &operations,
                               &count) != 0)
      continue;
    const bool is_return = static_cast<int>(number) == row.return_register;
    if (count == 0) {
      // libdw's way to tell apart "same value" (no operations at all) and "undefined" (its caller's memory).
      // Where no rule is, libdw's own for x86-64 name rax and mean rbx (backends/x86_64_cfi.c).
      if ((operations == nullptr && number != Registers::kRax) || number == Registers::kRbx) {
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
    if (value) caller.Set(is_return ? Registers::kPc : number, *value);
    if (!value && is_return) return Step::kUnknown;
  }
  // The ABI defines the CFA as the caller's stack pointer; a signal frame says otherwise by a rule of its
  // own.
  if (!row.signal || !caller.Get(Registers::kRsp)) caller.Set(Registers::kRsp, cfa->value);
  if (!caller.Get(Registers::kPc)) return Step::kUnknown;
  return caller.pc() == 0 ? Step::kOutermost : Step::kCaller;
}

/// A call pushes the address behind itself: the bytes before it must be a call.
bool Unwinder::IsReturnAddress(std::uint64_t address) const {
  constexpr std::size_t kCallMax = 7;
  if (address < kCallMax || !image_.IsExecutable(address - 1)) return false;
  std::array<std::byte, kCallMax> bytes;
  if (image_.Read(address - kCallMax, bytes) != kCallMax) return false;
  const auto at = [&](std::size_t before) { return std::to_integer<unsigned>(bytes[kCallMax - before]); };
  if (at(5) == 0xe8) return true;                     // call rel32
  for (const std::size_t length : {2, 3, 4, 6, 7}) {  // call r/m64: ff /2, maybe behind a prefix
    if (at(length) == 0xff && (at(length - 1) >> 3 & 7) == 2) return true;
  }
  return false;
}

/// Behind a call that went nowhere the return address is on top of the stack: nothing has been pushed since.
bool Unwinder::StepByReturnAddress(const Registers& callee, Registers& caller) const {
  const auto address = image_.ReadWord(callee.sp());
  if (!address || !IsReturnAddress(*address)) return false;
  caller = callee;
  caller.Set(Registers::kPc, *address);
  caller.Set(Registers::kRsp, callee.sp() + sizeof *address);
  return true;
}

/// A function that makes no frame leaves the stack as the call left it. The call says where it went: nearby,
/// before `pc`, with no other call's target between.
bool Unwinder::StepOutOfLeaf(const Registers& callee, Registers& caller) const {
  constexpr std::uint64_t kFunctionMax = 4096;
  const auto address = image_.ReadWord(callee.sp());
  if (!address || !IsReturnAddress(*address)) return false;
  std::array<std::byte, 5> call;  // e8 and the distance
  if (image_.Read(*address - call.size(), call) != call.size() || call[0] != std::byte{0xe8}) return false;
  std::int32_t distance = 0;
  std::memcpy(&distance, call.data() + 1, sizeof distance);
  const std::uint64_t target = *address + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance));
  if (target > callee.pc() || callee.pc() - target >= kFunctionMax) return false;
  return StepByReturnAddress(callee, caller);
}

/// The child of vfork(2) has its parent's stack, so libraries keep the return address in a register
/// meanwhile.
bool Unwinder::StepOutOfVfork(const Registers& callee, Registers& caller) const {
  constexpr std::array<unsigned char, 7> kVfork{0xb8, 58, 0, 0, 0, 0x0f, 0x05};  // mov $58,%eax; syscall
  std::array<unsigned char, kVfork.size()> code{};
  if (image_.Read(callee.pc() - code.size(), std::as_writable_bytes(std::span(code))) != code.size() ||
      code != kVfork)
    return false;
  for (const unsigned number : {5, 1, 4, 8, 9, 10}) {  // rdi of glibc, rdx of musl; what a system call leaves
    const auto address = callee.Get(number);
    if (!address || !IsReturnAddress(*address)) continue;
    caller = callee;
    caller.Set(Registers::kPc, *address);
    return true;
  }
  return false;
}

bool Unwinder::StepByFramePointer(const Registers& callee, bool injected, Registers& caller) const {
  const auto pointer = callee.Get(Registers::kRbp);
  if (!pointer || *pointer < callee.sp() || *pointer % sizeof(std::uint64_t) != 0) return false;
  const CoreImage::Mapping* stack = image_.Find(callee.sp());
  if (stack == nullptr || image_.Find(*pointer) != stack) return false;
  const auto saved = image_.ReadWord(*pointer), address = image_.ReadWord(*pointer + 8);
  if (!saved || !address) return false;
  if (!IsReturnAddress(*address) && !IsSigreturn(*address) && !(injected && image_.IsExecutable(*address)))
    return false;
  caller.Set(Registers::kRbp, *saved);
  caller.Set(Registers::kPc, *address);
  caller.Set(Registers::kRsp, *pointer + 16);
  return true;
}

bool Unwinder::StepByScan(const Registers& callee, Registers& caller) const {
  for (std::uint64_t at = callee.sp(); at - callee.sp() < kScanBytes; at += sizeof(std::uint64_t)) {
    const auto address = image_.ReadWord(at);
    if (!address) return false;
    if (!IsReturnAddress(*address) && !IsSigreturn(*address)) continue;
    if (const auto pointer = callee.Get(Registers::kRbp)) caller.Set(Registers::kRbp, *pointer);
    caller.Set(Registers::kPc, *address);
    caller.Set(Registers::kRsp, at + sizeof(std::uint64_t));
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
    caller = Registers();
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
  caller = Registers();
  origin = FrameOrigin::kFramePointer;
  if (StepByFramePointer(callee, injected, caller)) return true;
  return scans++ < kScansMax && guess(&Unwinder::StepByScan, FrameOrigin::kScan);
}

RawStack Unwinder::Unwind(const Registers& innermost) {
  RawStack stack;
  if (!innermost.Get(Registers::kPc)) {
    stack.end = "its registers are not known";
    return stack;
  }
  Registers registers = innermost;
  RawFrame frame{.pc = registers.pc(), .sp = registers.sp(), .exact = true};
  int scans = 0;
  for (;;) {
    const Row& row = *RowOf(frame.lookup());
    const bool sigreturn = !frame.exact && row.before_sigreturn;
    frame.trampoline = sigreturn || (row.frame != nullptr && row.signal);
    stack.frames.push_back(frame);
    if (stack.registers.size() < RawStack::kRegistersKept) stack.registers.push_back(registers);
    if (stack.frames.size() >= kFramesMax) {
      stack.end = "there are more frames";
      return stack;
    }
    Registers caller;
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
