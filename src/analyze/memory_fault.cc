#include <algorithm>
#include <csignal>

#include <elf.h>
#include <fmt/ranges.h>

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

enum class Access { kUnknown, kRead, kWrite };

bool IsCanonical(std::uint64_t address) {
  const std::uint64_t high = address >> 47;
  return high == 0 || high == 0x1ffff;
}

std::string At(std::uint64_t address) { return fmt::format("{:#x}", address); }

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

Access AccessOf(const Instruction::MemoryOperand* operand) {
  if (operand == nullptr) return Access::kUnknown;
  return operand->writes ? Access::kWrite : Access::kRead;
}

std::string ByRegister(const CrashScene& scene, const Instruction::MemoryOperand* operand) {
  if (operand == nullptr || !operand->base || scene.registers[*operand->base] != 0) return "";
  return fmt::format(": {} is null", operand->base_name);
}

/// "[heap]", or the name of a file; empty where a mapping has none.
std::string InMapping(const CrashScene& scene, std::uint64_t address) {
  const std::string name = scene.names.MappingName(address);
  return name.empty() ? "" : fmt::format(" ({})", name);
}

Report::Cause NullPointer(const CrashScene& scene, std::uint64_t address,
                          const Instruction::MemoryOperand* operand) {
  const Access access = AccessOf(operand);
  Report::Cause cause{.kind = access == Access::kWrite ? CauseKind::kNullWrite : CauseKind::kNullRead,
                      .sentence = access == Access::kWrite ? "null pointer write" : "null pointer read",
                      .guess = access == Access::kUnknown};
  if (address != 0) cause.sentence += " at " + At(address);
  cause.sentence += ByRegister(scene, operand);
  return cause;
}

/// The address that could not be executed: what was called, or returned to, is no code.
Report::Cause BadCall(const CrashScene& scene, std::uint64_t address) {
  if (address < kPage) {
    Report::Cause cause{.kind = CauseKind::kNullCall, .sentence = "null pointer called"};
    if (address != 0) cause.sentence += " at " + At(address);
    return cause;
  }
  if (!IsCanonical(address))
    return {.kind = CauseKind::kWildPointer, .sentence = "call through a wild pointer: " + At(address)};
  if (scene.image.Find(address) == nullptr)
    return {.kind = CauseKind::kExecuteNonExecutable,
            .sentence = "call of unmapped memory at " + At(address)};
  return {.kind = CauseKind::kExecuteNonExecutable,
          .sentence = "execution of non-executable memory at " + At(address) + InMapping(scene, address)};
}

/// The frames that go round, as far as they reach: "52,103 calls deep in recurse".
std::string Recursion(const CrashScene& scene) {
  const auto deepest = std::ranges::max_element(
      scene.stack.folds, {}, [](const Stack::Fold& fold) { return fold.times * fold.count; });
  if (deepest == scene.stack.folds.end()) return "";
  std::vector<std::string> names;
  for (std::uint32_t i = deepest->first; i < deepest->first + deepest->count; ++i) {
    const Frame& frame = scene.stack.frames[i];
    names.push_back(frame.function.empty() ? At(frame.pc) : PlainName(frame.function));
  }
  // en_US grouping by hand: the locale is nobody's business here.
  std::string times = std::to_string(deepest->times);
  for (int at = static_cast<int>(times.size()) - 3; at > 0; at -= 3)
    times.insert(static_cast<std::size_t>(at), ",");
  // A minimal core has the end of a deep stack only.
  if (scene.image.is_minimal() && !scene.stack.end.empty()) times = "over " + times;
  if (names.size() == 1) return fmt::format(": {} calls deep in {}", times, names.front());
  return fmt::format(": {} times {}", times, fmt::join(names, " < "));
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

Report::Cause StackOverflow(const CrashScene& scene) {
  Report::Cause cause{.kind = CauseKind::kStackOverflow, .sentence = "stack overflow"};
  const std::string recursion = Recursion(scene);
  cause.sentence += recursion.empty() ? InFunction(scene) : recursion;
  cause.guess = recursion.empty();
  return cause;
}

Report::Cause ProtectedMemory(const CrashScene& scene, std::uint64_t address, Access access) {
  const CoreImage::Mapping* segment = scene.image.Find(address);
  const std::string where = " at " + At(address) + InMapping(scene, address);
  if (access != Access::kRead && segment != nullptr && (segment->flags & PF_R) != 0 &&
      (segment->flags & PF_W) == 0)
    return {.kind = CauseKind::kWriteReadOnly,
            .sentence = "write to read-only memory" + where,
            .guess = access == Access::kUnknown};
  return {.kind = CauseKind::kReadProtected,
          .sentence =
              (access == Access::kWrite ? "write to protected memory" : "read of protected memory") + where,
          .guess = access == Access::kUnknown};
}

/// General protection: the kernel has no address to tell. Mostly one that cannot exist.
Report::Cause GeneralProtection(const CrashScene& scene) {
  if (!scene.instruction) return {.sentence = "general protection fault", .guess = true};
  const Instruction& instruction = *scene.instruction;
  if (instruction.kind == Instruction::Kind::kPrivileged)
    return {.kind = CauseKind::kIllegalInstruction,
            .sentence = "privileged instruction: " + instruction.text};
  if (instruction.kind == Instruction::Kind::kReturn) {
    const auto target = scene.image.ReadWord(scene.sp());
    return {.kind = CauseKind::kWildPointer,
            .sentence = "return to a wild address" + (target ? ": " + At(*target) : "") +
                        ": the stack was overwritten"};
  }
  for (const auto& operand : instruction.memory) {
    const std::uint64_t address = AddressOf(operand, scene.registers, scene.pc() + instruction.size);
    if (IsCanonical(address)) continue;
    const std::string how = operand.writes ? "write" : "read";
    const bool is_base = operand.base && !IsCanonical(scene.registers[*operand.base]);
    return {.kind = CauseKind::kWildPointer,
            .sentence = is_base ? fmt::format("{} through a wild pointer in {}: {}", how, operand.base_name,
                                              At(scene.registers[*operand.base]))
                                : fmt::format("{} through a wild pointer: {}", how, At(address))};
  }
  const bool jumps =
      instruction.kind == Instruction::Kind::kCall || instruction.kind == Instruction::Kind::kJump;
  if (jumps && instruction.register_operand)
    return {.kind = CauseKind::kWildPointer,
            .sentence = fmt::format("call through a wild pointer in {}: {}", instruction.register_name,
                                    At(scene.registers[*instruction.register_operand]))};
  return {.sentence = "general protection fault: " + instruction.text, .guess = true};
}

Report::Cause BusError(const CrashScene& scene, std::uint64_t address) {
  if (scene.record.signal.code == BUS_ADRERR) {
    for (const CoreNotes::File& file : scene.image.notes().files)
      if (address >= file.begin && address < file.end)
        return {.kind = CauseKind::kTruncatedFile,
                .sentence = "mapped file is shorter than its mapping: " + file.path};
  }
  // An alignment check (#AC) tells no address: that of the operand it is.
  if (scene.record.signal.code == BUS_ADRALN && address == 0 && scene.instruction &&
      !scene.instruction->memory.empty())
    address =
        AddressOf(scene.instruction->memory.front(), scene.registers, scene.pc() + scene.instruction->size);
  const bool broken = scene.record.signal.code == BUS_MCEERR_AR || scene.record.signal.code == BUS_MCEERR_AO;
  return {.kind = CauseKind::kBusError,
          .sentence = (broken ? "the hardware lost memory at " : "bus error at ") + At(address)};
}

}  // namespace

Report::Cause FindMemoryFault(CrashScene& scene) {
  const auto& signal = scene.record.signal;
  if (!signal.address)
    return signal.number == SIGSEGV ? GeneralProtection(scene)
                                    : Report::Cause{.kind = CauseKind::kBusError, .sentence = "bus error"};
  const std::uint64_t address = *signal.address;
  if (signal.number == SIGBUS) return BusError(scene, address);
  if (scene.registers.empty()) return {.sentence = "memory fault at " + At(address), .guess = true};
  if (address == scene.pc() && !scene.image.IsExecutable(address)) return BadCall(scene, address);
  if (IsStackOverflow(scene, address)) return StackOverflow(scene);
  const Instruction::MemoryOperand* operand = OperandAt(scene, address);
  const bool base_is_null = operand != nullptr && operand->base && !operand->segment_base &&
                            scene.registers[*operand->base] == 0 && !scene.image.Find(address);
  if (address < kNullMax || base_is_null) return NullPointer(scene, address, operand);
  const Access access = AccessOf(operand);
  if (scene.image.Find(address) != nullptr && signal.code != SEGV_MAPERR)
    return ProtectedMemory(scene, address, access);
  return {.kind = access == Access::kWrite ? CauseKind::kUnmappedWrite : CauseKind::kUnmappedRead,
          .sentence =
              (access == Access::kWrite ? "write to unmapped memory at " : "read of unmapped memory at ") +
              At(address),
          .guess = access == Access::kUnknown};
}

}  // namespace obit
