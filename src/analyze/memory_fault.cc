#include <algorithm>
#include <csignal>

#include <elf.h>

#include "analyze/cause.h"
#include "crash/plain_name.h"

namespace obit {
namespace {

constexpr std::uint64_t kPage = 4096;
/// Below this no program has memory (vm.mmap_min_addr is 64 KiB): a null pointer and an offset.
constexpr std::uint64_t kNullMax = 64 * 1024;
/// How far beyond the end of its stack a function may reach: the kernel keeps 256 pages free there
/// (stack_guard_gap); large locals reach further.
constexpr std::uint64_t kStackReach = 1 << 20;

bool IsCanonical(std::uint64_t address) {
  const std::uint64_t high = address >> 47;
  return high == 0 || high == 0x1ffff;
}

/// The memory operand that touched `address`; null if none did.
const Instruction::MemoryOperand* OperandAt(const CrashScene& scene, std::uint64_t address) {
  if (!scene.instruction) return nullptr;
  const std::uint64_t next = scene.pc() + scene.instruction->size;
  for (const auto& operand : scene.instruction->memory) {
    const std::uint64_t begin = AddressOf(operand, scene.registers, next);
    // An access may begin on a page that is there and fault on the next.
    if (address >= begin && address - begin < std::max<std::uint64_t>(operand.size, 1)) return &operand;
  }
  return nullptr;
}

MemoryAccess AccessOf(const Instruction::MemoryOperand* operand) {
  if (operand == nullptr) return MemoryAccess::kUnknown;
  return operand->writes ? MemoryAccess::kWrite : MemoryAccess::kRead;
}

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

/// The address that could not be executed: what was called, or returned to, is no code.
Cause BadCall(const CrashScene& scene, std::uint64_t address) {
  Cause cause{.kind = CauseKind::kExecuteNonExecutable, .access = MemoryAccess::kExecute, .address = address};
  if (address < kPage) {
    cause.kind = CauseKind::kNullCall;
  } else if (!IsCanonical(address)) {
    cause.kind = CauseKind::kWildPointer;
    cause.transfer = Transfer::kCall;
  } else if (scene.image.Find(address) == nullptr) {
    cause.what = "unmapped";
  } else {
    cause.place = scene.names.MappingName(address);
  }
  return cause;
}

/// The frames that go round, as far as they reach.
std::optional<Cause::Recursion> FindRecursion(const CrashScene& scene) {
  const auto deepest = std::ranges::max_element(
      scene.stack.folds, {}, [](const Stack::Fold& fold) { return fold.times * fold.count; });
  if (deepest == scene.stack.folds.end()) return std::nullopt;
  Cause::Recursion recursion{.times = deepest->times,
                             // A minimal core has the end of a deep stack only.
                             .at_least = scene.image.is_minimal() && !scene.stack.end.empty()};
  for (std::uint32_t i = deepest->first; i < deepest->first + deepest->count; ++i) {
    const Frame& frame = scene.stack.frames[i];
    recursion.functions.push_back(frame.function.empty() ? fmt::format("{:#x}", frame.pc)
                                                         : PlainName(frame.function));
  }
  return recursion;
}

/// The stack grew to where it may not: the fault is next to the stack pointer, and there is no stack.
bool IsStackOverflow(const CrashScene& scene, std::uint64_t address) {
  const std::uint64_t sp = scene.sp();
  const std::uint64_t distance = address > sp ? address - sp : sp - address;
  if (sp == 0 || distance > kStackReach) return false;
  const CoreImage::Mapping* hit = scene.image.Find(address);
  if (hit != nullptr && (hit->flags & PF_W) != 0) return false;
  // What lies above is the stack: the frames are there.
  for (const RawFrame& frame : scene.raw.frames) {
    const CoreImage::Mapping* stack = scene.image.Find(frame.sp);
    if (stack == nullptr || (stack->flags & PF_W) == 0) continue;
    return stack->begin > address && stack->begin - address <= kStackReach;
  }
  return false;
}

Cause StackOverflow(const CrashScene& scene, std::uint64_t address) {
  Cause cause{.kind = CauseKind::kStackOverflow, .address = address, .recursion = FindRecursion(scene)};
  cause.guess = !cause.recursion;
  if (!cause.recursion) cause.function = OwnFunction(scene);
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

/// General protection: the kernel has no address to tell. Mostly one that cannot exist.
Cause GeneralProtection(const CrashScene& scene) {
  if (!scene.instruction) return {.kind = CauseKind::kGeneralProtection};
  const Instruction& instruction = *scene.instruction;
  if (instruction.kind == Instruction::Kind::kPrivileged)
    return {.kind = CauseKind::kPrivilegedInstruction, .instruction = instruction.text};
  if (instruction.kind == Instruction::Kind::kReturn)
    return {.kind = CauseKind::kWildPointer,
            .transfer = Transfer::kReturn,
            .address = scene.image.ReadWord(scene.sp())};
  for (const auto& operand : instruction.memory) {
    const std::uint64_t address = AddressOf(operand, scene.registers, scene.pc() + instruction.size);
    if (IsCanonical(address)) continue;
    const bool is_base = operand.base && !IsCanonical(scene.registers[*operand.base]);
    return {.kind = CauseKind::kWildPointer,
            .access = operand.writes ? MemoryAccess::kWrite : MemoryAccess::kRead,
            .address = is_base ? scene.registers[*operand.base] : address,
            .reg = is_base ? operand.base_name : ""};
  }
  const bool jumps =
      instruction.kind == Instruction::Kind::kCall || instruction.kind == Instruction::Kind::kJump;
  if (jumps && instruction.register_operand)
    return {.kind = CauseKind::kWildPointer,
            .transfer = Transfer::kCall,
            .address = scene.registers[*instruction.register_operand],
            .reg = instruction.register_name};
  return {.kind = CauseKind::kGeneralProtection, .instruction = instruction.text};
}

Cause BusError(const CrashScene& scene, std::uint64_t address) {
  const int code = scene.record.signal.code.value_or(0);
  if (code == BUS_ADRERR) {
    for (const CoreNotes::File& file : scene.image.notes().files)
      if (address >= file.begin && address < file.end)
        return {.kind = CauseKind::kTruncatedFile, .address = address, .place = file.path};
  }
  // An alignment check (#AC) tells no address: that of the operand it is.
  if (code == BUS_ADRALN && address == 0 && scene.instruction && !scene.instruction->memory.empty())
    address =
        AddressOf(scene.instruction->memory.front(), scene.registers, scene.pc() + scene.instruction->size);
  const bool broken = code == BUS_MCEERR_AR || code == BUS_MCEERR_AO;
  return {.kind = broken ? CauseKind::kHardwareMemory : CauseKind::kBusError, .address = address};
}

}  // namespace

Cause FindMemoryFault(CrashScene& scene) {
  const auto& signal = scene.record.signal;
  if (!signal.address)
    return signal.number == SIGSEGV ? GeneralProtection(scene) : Cause{.kind = CauseKind::kBusError};
  const std::uint64_t address = *signal.address;
  if (signal.number == SIGBUS) return BusError(scene, address);
  if (scene.registers.empty()) return {.address = address, .what = "memory fault"};
  if (address == scene.pc() && !scene.image.IsExecutable(address)) return BadCall(scene, address);
  if (IsStackOverflow(scene, address)) return StackOverflow(scene, address);
  const Instruction::MemoryOperand* operand = OperandAt(scene, address);
  const bool base_is_null = operand != nullptr && operand->base && !operand->segment_base &&
                            scene.registers[*operand->base] == 0 && !scene.image.Find(address);
  if (address < kNullMax || base_is_null) return NullPointer(scene, address, operand);
  const MemoryAccess access = AccessOf(operand);
  if (scene.image.Find(address) != nullptr && signal.code != SEGV_MAPERR)
    return ProtectedMemory(scene, address, access);
  return {.kind = access == MemoryAccess::kWrite ? CauseKind::kUnmappedWrite : CauseKind::kUnmappedRead,
          .guess = access == MemoryAccess::kUnknown,
          .access = access,
          .address = address};
}

}  // namespace obit
