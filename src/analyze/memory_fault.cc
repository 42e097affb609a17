#include "analyze/memory_fault.h"

#include <algorithm>
#include <csignal>

#include <elf.h>

#include "analyze/calls.h"

namespace obit {
namespace {

/// Below this no program has memory (vm.mmap_min_addr is 64 KiB): a null pointer and an offset.
constexpr std::uint64_t kNullMax = 64 * 1024;
constexpr int kProtectionKey = 4, kControlProtection = 10;  // SEGV_PKUERR, SEGV_CPERR of si_code

/// The register that `operand` is relative to, where that is null; empty if it is not.
std::string NullRegister(const CrashScene& scene, const Instruction::MemoryOperand* operand) {
  if (operand == nullptr || !operand->base || scene.registers[*operand->base] != 0) return "";
  return operand->base_name;
}

Cause NullPointer(const CrashScene& scene, std::uint64_t address, const Instruction::MemoryOperand* operand) {
  const MemoryAccess access = AccessOf(operand);
  return {.kind = access == MemoryAccess::kWrite ? CauseKind::kNullWrite : CauseKind::kNullRead,
          .guess = access == MemoryAccess::kUnknown,
          .access = access,
          .address = address,
          .reg = NullRegister(scene, operand)};
}

/// A return has just taken the address from the stack, and what lies above it there is no way back.
bool WasReturnedTo(const CrashScene& scene, std::uint64_t address) {
  if (scene.image.arch().dwarf_link) return false;  // a return takes it from a register
  const auto taken = scene.image.ReadWord(scene.sp() - sizeof address),
             next = scene.image.ReadWord(scene.sp());
  return taken == address && next && !IsReturnAddress(scene.image, *next);
}

/// The address that could not be executed: what was called, or returned to, is no code.
Cause BadCall(const CrashScene& scene, std::uint64_t address) {
  Cause cause{.kind = CauseKind::kExecuteNonExecutable, .access = MemoryAccess::kExecute, .address = address};
  if (WasReturnedTo(scene, address)) cause.transfer = Transfer::kReturn;
  if (!scene.IsCanonical(address)) {
    cause.kind = CauseKind::kWildPointer;
    if (cause.transfer == Transfer::kNone) cause.transfer = Transfer::kCall;
  } else if (address < kMemoryPage && cause.transfer == Transfer::kNone) {
    cause.kind = CauseKind::kNullCall;
  } else if (scene.image.Find(address) == nullptr) {
    cause.what = "unmapped";
  } else {
    cause.place = scene.names.MappingName(address);
  }
  return cause;
}

Cause ProtectedMemory(const CrashScene& scene, std::uint64_t address, MemoryAccess access) {
  const CoreImage::Mapping* segment = scene.image.Find(address);
  const bool read_only = segment != nullptr && (segment->flags & PF_R) != 0 && (segment->flags & PF_W) == 0;
  return {.kind = access != MemoryAccess::kRead && read_only ? CauseKind::kWriteReadOnly
                                                             : CauseKind::kReadProtected,
          .guess = access == MemoryAccess::kUnknown,
          .access = access,
          .address = address,
          .place = scene.names.MappingName(address)};
}

/// The stack pointer leads to memory that could be a stack.
bool HasStack(const CrashScene& scene) {
  const CoreImage::Mapping* stack = scene.image.Find(scene.sp());
  return stack != nullptr && (stack->flags & PF_W) != 0;
}

/// The instruction itself goes on, or begins, where nothing can be executed.
bool IsCodeThere(const CrashScene& scene, std::uint64_t address) {
  if (address == scene.pc()) return true;
  constexpr std::uint64_t kInstructionMax = 15;
  const std::uint64_t size = scene.instruction ? scene.instruction->size : kInstructionMax;
  return address > scene.pc() && address - scene.pc() < size && address % kMemoryPage == 0;
}

}  // namespace

std::uint64_t AddressOf(const CrashScene& scene, const Instruction::MemoryOperand& operand) {
  return AddressOf(operand, scene.registers, scene.pc() + scene.instruction->size);
}

const Instruction::MemoryOperand* OperandAt(const CrashScene& scene, std::uint64_t address) {
  if (!scene.instruction) return nullptr;
  for (const auto& operand : scene.instruction->memory) {
    const std::uint64_t begin = AddressOf(scene, operand);
    // An access may begin on a page that is there and fault on the next.
    if (address >= begin && address - begin < std::max<std::uint64_t>(operand.size, 1)) return &operand;
  }
  return nullptr;
}

MemoryAccess AccessOf(const Instruction::MemoryOperand* operand) {
  if (operand == nullptr) return MemoryAccess::kUnknown;
  return operand->writes ? MemoryAccess::kWrite : MemoryAccess::kRead;
}

Cause FindFaultAt(CrashScene& scene, std::uint64_t address, int code) {
  if (scene.registers.empty()) return {.address = address, .what = "memory fault"};
  if (IsCodeThere(scene, address) && !scene.image.IsExecutable(address)) return BadCall(scene, address);
  if (auto overflow = FindStackOverflow(scene, address)) return *overflow;
  const Instruction::MemoryOperand* operand = OperandAt(scene, address);
  const MemoryAccess access = AccessOf(operand);
  if (code == kProtectionKey)
    return {.kind = CauseKind::kProtectionKey,
            .access = access,
            .address = address,
            .place = scene.names.MappingName(address)};
  if (code == kControlProtection)
    return {.kind = CauseKind::kGeneralProtection,
            .instruction = scene.instruction ? scene.instruction->text : ""};
  const bool base_is_null = operand != nullptr && operand->base && !operand->segment_base &&
                            scene.registers[*operand->base] == 0 && !scene.image.Find(address);
  if (address < kNullMax || base_is_null) return NullPointer(scene, address, operand);
  if (scene.image.Find(address) != nullptr && code != SEGV_MAPERR)
    return ProtectedMemory(scene, address, access);
  return {.kind = access == MemoryAccess::kWrite ? CauseKind::kUnmappedWrite : CauseKind::kUnmappedRead,
          .guess = access == MemoryAccess::kUnknown,
          .access = access,
          .address = address,
          .reg = operand != nullptr && operand->base_name == "rsp" && !HasStack(scene) ? "rsp" : ""};
}

Cause FindMemoryFault(CrashScene& scene) {
  const auto& signal = scene.record.signal;
  const int code = signal.code.value_or(0);
  if (!signal.address || code == SI_KERNEL) return FindFaultWithoutAddress(scene);
  if (signal.number == SIGBUS) return FindBusError(scene, *signal.address);
  return FindFaultAt(scene, *signal.address, code);
}

}  // namespace obit
