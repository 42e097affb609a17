#pragma once

#include <cstdint>
#include <optional>

#include "analyze/cause.h"

// What the parts of FindMemoryFault() share.

namespace obit {

inline constexpr std::uint64_t kMemoryPage = 4096;

/// The operand of the instruction that touched `address`; null if none did.
[[nodiscard]] const Instruction::MemoryOperand* OperandAt(const CrashScene& scene, std::uint64_t address);
[[nodiscard]] std::uint64_t AddressOf(const CrashScene& scene, const Instruction::MemoryOperand& operand);
[[nodiscard]] MemoryAccess AccessOf(const Instruction::MemoryOperand* operand);

/// A fault at `address`, for which the kernel gave `code`: SEGV_MAPERR, SEGV_ACCERR, SEGV_PKUERR.
[[nodiscard]] Cause FindFaultAt(CrashScene& scene, std::uint64_t address, int code);
/// A fault of which the kernel tells no address: the processor has none for it, or the kernel made the
/// signal, because it found no place for the frame of a signal handler.
[[nodiscard]] Cause FindFaultWithoutAddress(CrashScene& scene);
/// SIGBUS with a code that says more than that.
[[nodiscard]] Cause FindBusError(CrashScene& scene, std::uint64_t address);

/// The thread's stack ended before `address`, which its code was to use as stack: by where both lie.
[[nodiscard]] std::optional<Cause> FindStackOverflow(CrashScene& scene, std::uint64_t address);

}  // namespace obit
