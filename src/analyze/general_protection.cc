// The processor knows an address only for a page fault. For all else that it refuses the kernel sends
// SIGSEGV, or SIGBUS where the stack's segment was used (#SS), with SI_KERNEL and no address: addresses that
// cannot exist, operands that are not aligned, instructions that programs may not use. The kernel sends the
// same where it finds no place for the frame of a signal handler. The instruction and the registers tell
// which it was.

#include <array>
#include <csignal>

#include <elf.h>

#include "analyze/memory_fault.h"

namespace obit {
namespace {

Cause WildOperand(const CrashScene& scene, const Instruction::MemoryOperand& operand, std::uint64_t address) {
  const bool is_base = operand.base && !scene.IsCanonical(scene.registers[*operand.base]);
  return {.kind = CauseKind::kWildPointer,
          .access = operand.writes ? MemoryAccess::kWrite : MemoryAccess::kRead,
          .address = is_base ? scene.registers[*operand.base] : address,
          .reg = is_base ? operand.base_name : ""};
}

/// Where an indirect call or jump was to go.
std::optional<std::uint64_t> TargetOf(CrashScene& scene) {
  const Instruction& instruction = *scene.instruction;
  if (instruction.kind != Instruction::Kind::kCall && instruction.kind != Instruction::Kind::kJump)
    return std::nullopt;
  if (instruction.register_operand) return scene.registers[*instruction.register_operand];
  for (const auto& operand : instruction.memory)
    if (!operand.of_stack) return scene.image.ReadWord(AddressOf(scene, operand));
  return std::nullopt;
}

/// What of `operand` cannot be accessed, and the code that the kernel has for that.
std::optional<std::pair<std::uint64_t, int>> FaultOf(const CrashScene& scene,
                                                     const Instruction::MemoryOperand& operand) {
  const std::uint64_t begin = AddressOf(scene, operand);
  const std::uint64_t last = begin + (operand.size > 0 ? operand.size - 1 : 0);
  for (const std::uint64_t at : {begin, last / kMemoryPage * kMemoryPage}) {
    if (at < begin || at > last) continue;
    const CoreImage::Mapping* mapping = scene.image.Find(at);
    if (mapping == nullptr) return std::pair(at, SEGV_MAPERR);
    const std::uint32_t wanted = operand.writes ? PF_W : PF_R;
    if ((mapping->flags & wanted) == 0) return std::pair(at, SEGV_ACCERR);
  }
  return std::nullopt;
}

/// The kernel was to put the frame of a handler on the stack, and there is none.
std::optional<Cause> NoRoomForHandler(CrashScene& scene) {
  const std::uint64_t sp = scene.sp();
  const CoreImage::Mapping* stack = scene.image.Find(sp);
  if (stack != nullptr && (stack->flags & PF_W) != 0) return std::nullopt;
  if (auto overflow = FindStackOverflow(scene, sp - sizeof(std::uint64_t))) return overflow;
  return Cause{
      .kind = CauseKind::kUnmappedWrite, .access = MemoryAccess::kWrite, .address = sp, .reg = "rsp"};
}

bool IsBehindSystemCall(CrashScene& scene) {
  std::array<std::byte, 2> code{};
  return scene.image.Read(scene.pc() - code.size(), code) == code.size() && code[0] == std::byte{0x0f} &&
         code[1] == std::byte{0x05};
}

/// A trap, whose program counter is behind it: exc_overflow() of arch/x86/kernel/traps.c.
bool IsBehindOverflowInterrupt(CrashScene& scene) {
  std::array<std::byte, 2> code{};
  return scene.image.arch().machine == EM_X86_64 &&
         scene.image.Read(scene.pc() - code.size(), code) == code.size() && code[0] == std::byte{0xcd} &&
         code[1] == std::byte{0x04};
}

Cause Unexplained(CrashScene& scene) {
  if (IsBehindOverflowInterrupt(scene)) return {.kind = CauseKind::kTrap, .what = "deliberate trap (int $4)"};
  if (IsBehindSystemCall(scene))
    return {.what = SignalName(scene.record.signal.number) + " that the kernel sent in a system call"};
  return {.kind = CauseKind::kGeneralProtection, .instruction = scene.instruction->text};
}

}  // namespace

Cause FindFaultWithoutAddress(CrashScene& scene) {
  const std::string unknown = SignalName(scene.record.signal.number) + " without an address";
  if (scene.registers.empty()) return {.what = unknown};
  // A core without siginfo may be of a page fault as well.
  if (!scene.record.signal.code && !scene.image.IsExecutable(scene.pc()))
    return FindFaultAt(scene, scene.pc(), SEGV_MAPERR);
  // AMD's processors go to such an address before they refuse it.
  if (!scene.IsCanonical(scene.pc())) return FindFaultAt(scene, scene.pc(), SEGV_MAPERR);
  if (!scene.instruction) return {.what = unknown};
  const Instruction& instruction = *scene.instruction;
  if (instruction.kind == Instruction::Kind::kPrivileged)
    return {.kind = CauseKind::kPrivilegedInstruction, .instruction = instruction.text};
  for (const auto& operand : instruction.memory) {
    const std::uint64_t address = AddressOf(scene, operand);
    if (!scene.IsCanonical(address)) return WildOperand(scene, operand, address);
  }
  if (instruction.kind == Instruction::Kind::kReturn) {
    const auto target = scene.image.ReadWord(scene.sp());
    if (target && !scene.IsCanonical(*target))
      return {.kind = CauseKind::kWildPointer, .transfer = Transfer::kReturn, .address = target};
  }
  if (const auto target = TargetOf(scene); target && !scene.IsCanonical(*target))
    return {.kind = CauseKind::kWildPointer,
            .transfer = Transfer::kCall,
            .address = target,
            .reg = instruction.register_name};
  for (const auto& operand : instruction.memory) {
    const std::uint64_t address = AddressOf(scene, operand);
    if (operand.alignment == 0 || address % operand.alignment == 0) continue;
    return {.kind = CauseKind::kMisaligned,
            .access = AccessOf(&operand),
            .address = address,
            .place = scene.names.MappingName(address),
            .reg = operand.base_name,
            .instruction = instruction.text,
            .alignment = operand.alignment};
  }
  for (const auto& operand : instruction.memory)
    if (const auto fault = FaultOf(scene, operand)) return FindFaultAt(scene, fault->first, fault->second);
  if (auto no_room = NoRoomForHandler(scene)) return *no_room;
  return Unexplained(scene);
}

}  // namespace obit
