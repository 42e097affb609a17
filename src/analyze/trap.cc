#include "analyze/trap.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include <elf.h>

#include "analyze/division.h"
#include "analyze/instruction.h"

namespace obit {
namespace {

constexpr std::size_t kRip = 16, kFlags = 18, kRsp = 19;  // in struct user_regs_struct
constexpr std::uint64_t kUserMode = 4, kFetch = 16;       // bits of a page fault's error code
constexpr std::uint64_t kAlignmentCheck = 1 << 18;        // of eflags
constexpr std::uint64_t kInstructionMax = 15;

class Teller {
 public:
  Teller(CoreImage& image, SignalFrame& frame) : image_(image), frame_(frame), pc_(frame.registers[kRip]) {
    std::array<std::byte, kInstructionMax> code{};
    const auto bytes = std::span(code).first(image.Read(pc_, code));
    instruction_ = Decode(kX86_64, bytes, pc_);
    if (bytes.size() >= 3)
      undefined_ = IsUndefined(bytes) || (bytes[0] == std::byte{0x67} && IsUndefined(bytes.subspan(1)));
    undefined_ = undefined_ || (!bytes.empty() && !instruction_);
  }

  bool Tell() {
    using enum Exception;
    switch (frame_.trap) {
      case kPageFault:
        return PageFault();
      case kGeneralProtection:
        return IsRefused() && Say(SIGSEGV, SI_KERNEL);
      case kStackSegment:
        return IsRefused() && Say(SIGBUS, SI_KERNEL);
      case kAlignment:
        return (frame_.registers[kFlags] & kAlignmentCheck) != 0 && Say(SIGBUS, BUS_ADRALN, 0);
      case kInvalidOpcode:
        return undefined_ && Say(SIGILL, ILL_ILLOPN, pc_);
      case kBreakpoint:
        return IsBehindBreakpoint() && Say(SIGTRAP, SI_KERNEL);
      case kDivideError:
        return DivideError();
      case kFloatingPoint:
      case kSimdFloatingPoint:
        return FloatingPoint();
      default:
        return false;
    }
  }

 private:
  static bool IsUndefined(std::span<const std::byte> code) {  // ud2, ud1
    return code[0] == std::byte{0x0f} && (code[1] == std::byte{0x0b} || code[1] == std::byte{0xb9});
  }

  bool Say(int signal, int code, std::optional<std::uint64_t> address = {}) {
    frame_.signal = signal;
    frame_.code = code;
    frame_.address = address;
    return true;
  }

  std::uint64_t AddressOfOperand(const Instruction::MemoryOperand& operand) const {
    return AddressOf(operand, frame_.registers, pc_ + instruction_->size);
  }

  bool PageFault() {
    const std::uint64_t address = frame_.cr2;
    const bool fetched = (frame_.error & kFetch) != 0 && address >= pc_ && address - pc_ < kInstructionMax;
    const bool touched =
        instruction_ && std::ranges::any_of(instruction_->memory, [&](const auto& operand) {
          const std::uint64_t begin = AddressOfOperand(operand);
          return address >= begin && address - begin < std::max<std::uint64_t>(operand.size, 1);
        });
    if ((frame_.error & kUserMode) == 0 || (!fetched && !touched)) return false;
    const CoreImage::Mapping* mapping = image_.Find(address);
    if (mapping == nullptr) return Say(SIGSEGV, SEGV_MAPERR, address);
    const std::uint32_t wanted = fetched ? PF_X : (frame_.error & 2) != 0 ? PF_W : PF_R;
    return (mapping->flags & wanted) == 0 ? Say(SIGSEGV, SEGV_ACCERR, address)
                                          : Say(SIGBUS, BUS_ADRERR, address);
  }

  /// For an address that cannot exist, for one that is not aligned, or at all.
  bool IsRefused() const {
    if (!kX86_64.is_canonical(pc_)) return true;
    if (!instruction_) return false;
    if (instruction_->kind == Instruction::Kind::kPrivileged) return true;
    const bool jumps =
        instruction_->kind == Instruction::Kind::kCall || instruction_->kind == Instruction::Kind::kJump;
    if (jumps && instruction_->register_operand &&
        !kX86_64.is_canonical(frame_.registers[*instruction_->register_operand]))
      return true;
    for (const auto& operand : instruction_->memory) {
      const std::uint64_t address = AddressOfOperand(operand);
      if (!kX86_64.is_canonical(address)) return true;
      if (operand.alignment != 0 && address % operand.alignment != 0) return true;
      const bool is_target = jumps ? !operand.of_stack : instruction_->kind == Instruction::Kind::kReturn;
      const auto target = is_target ? image_.ReadWord(address) : std::nullopt;
      if (target && !kX86_64.is_canonical(*target)) return true;
    }
    return false;
  }

  bool IsBehindBreakpoint() {
    std::array<std::byte, 1> before{};
    return image_.Read(pc_ - 1, before) == 1 && before[0] == std::byte{0xcc};
  }

  bool DivideError() {
    const auto division = instruction_ ? FindDivision(image_, *instruction_, frame_.registers) : std::nullopt;
    return division && (division->divisor == 0 || division->overflows) && Say(SIGFPE, FPE_INTDIV, pc_);
  }

  /// fpu__exception_code() of arch/x86/kernel/fpu/core.c.
  bool FloatingPoint() {
    constexpr std::size_t kMxcsr = 24;
    std::array<std::byte, kMxcsr + 4> state{};
    if (frame_.fpstate == 0 || image_.Read(frame_.fpstate, state) != state.size()) return false;
    const auto at = [&]<class T>(std::size_t offset, T value) {
      std::memcpy(&value, state.data() + offset, sizeof value);
      return static_cast<unsigned>(value);
    };
    const unsigned mxcsr = at(kMxcsr, std::uint32_t{});
    const unsigned control = at(0, std::uint16_t{}), status = at(2, std::uint16_t{});
    const unsigned raised = frame_.trap == Exception::kSimdFloatingPoint ? ~(mxcsr >> 7) & mxcsr & 0x3f
                                                                         : ~control & status & 0x3f;
    if ((raised & 1) != 0) return Say(SIGFPE, FPE_FLTINV, pc_);
    if ((raised & 4) != 0) return Say(SIGFPE, FPE_FLTDIV, pc_);
    if ((raised & 8) != 0) return Say(SIGFPE, FPE_FLTOVF, pc_);
    if ((raised & 0x12) != 0) return Say(SIGFPE, FPE_FLTUND, pc_);
    return (raised & 0x20) != 0 && Say(SIGFPE, FPE_FLTRES, pc_);
  }

  CoreImage& image_;
  SignalFrame& frame_;
  std::uint64_t pc_;
  std::optional<Instruction> instruction_;
  bool undefined_ = false;
};

}  // namespace

bool TellByTrap(CoreImage& image, SignalFrame& frame) {
  return frame.registers.size() > kRsp && Teller(image, frame).Tell();
}

}  // namespace obit
