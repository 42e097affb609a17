#include <cstring>

#include <elf.h>

#include "arch/architecture.h"

namespace obit {
namespace {

constexpr Architecture::Register kRegisters[] = {{"x0", 0},   {"x1", 1},
                                                 {"x2", 2},   {"x3", 3},
                                                 {"x4", 4},   {"x5", 5},
                                                 {"x6", 6},   {"x7", 7},
                                                 {"x8", 8},   {"x9", 9},
                                                 {"x10", 10}, {"x11", 11},
                                                 {"x12", 12}, {"x13", 13},
                                                 {"x14", 14}, {"x15", 15},
                                                 {"x16", 16}, {"x17", 17},
                                                 {"x18", 18}, {"x19", 19},
                                                 {"x20", 20}, {"x21", 21},
                                                 {"x22", 22}, {"x23", 23},
                                                 {"x24", 24}, {"x25", 25},
                                                 {"x26", 26}, {"x27", 27},
                                                 {"x28", 28}, {"x29", 29},
                                                 {"x30", 30}, {"sp", 31},
                                                 {"pc", 32},  {"pstate", 33, false}};

/// DWARF for the Arm 64-bit architecture (aadwarf64), 4.1: x0 ... x30, sp; the last is obit's own, for the
/// pc.
constexpr std::uint8_t kByDwarf[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                     17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};

/// Virtual addresses have 48 bits, or 52 where a program asks for that; the top byte may be a tag
/// (Documentation/arch/arm64/tagged-address-abi.rst).
std::uint64_t WithoutTag(std::uint64_t address) { return address & ~(std::uint64_t{0xff} << 56); }
bool IsCanonical(std::uint64_t address) {
  const std::uint64_t high = WithoutTag(address) >> 52;
  return high == 0 || high == 0xf;
}

/// With pointer authentication the bits from 48 to 54, and the top byte, sign a return address.
std::uint64_t CodeAddress(std::uint64_t address) { return address & ((std::uint64_t{1} << 48) - 1); }

constexpr std::string_view kTrampolines[] = {{"\x68\x11\x80\xd2\x01\0\0\xd4", 8}};  // mov x8,#139; svc #0

constexpr std::size_t kInstruction = 4;

std::uint32_t LastWord(std::span<const std::byte> bytes) {
  std::uint32_t word = 0;
  if (bytes.size() >= sizeof word) std::memcpy(&word, bytes.last(sizeof word).data(), sizeof word);
  return word;
}

bool EndsWithCall(std::span<const std::byte> bytes) {
  const std::uint32_t word = LastWord(bytes);
  return word >> 26 == 0x25 ||                 // bl
         (word & 0xfffffc1f) == 0xd63f0000 ||  // blr
         (word & 0xfefff800) == 0xd63f0800;    // blraa, blrab and their like
}

std::optional<std::uint64_t> TargetOfCall(std::span<const std::byte> bytes, std::uint64_t next) {
  const std::uint32_t word = LastWord(bytes);
  if (word >> 26 != 0x25) return std::nullopt;
  const auto distance = static_cast<std::int64_t>(static_cast<std::int32_t>(word << 6)) >> 6;
  return next - kInstruction + static_cast<std::uint64_t>(distance * 4);
}

}  // namespace

constexpr Architecture kAarch64{
    .machine = EM_AARCH64,
    .name = "aarch64",
    .word = 8,
    .status_registers_at = 112,
    .register_count = 34,
    .sp = 31,
    .pc = 32,
    .registers = kRegisters,
    .by_dwarf = kByDwarf,
    .dwarf_pc = 32,
    .dwarf_sp = 31,
    .dwarf_frame = 29,
    .dwarf_link = 30,
    // struct rt_sigframe begins with the siginfo; struct sigcontext with the address of the fault
    // (arch/arm64/kernel/signal.c, arch/arm64/include/uapi/asm/sigcontext.h).
    .signal_frame = {.trampolines = kTrampolines,
                     .trampoline_max = 8,
                     .context = 128,
                     .registers = 184,
                     .order = kByDwarf},
    .is_canonical = IsCanonical,
    .code_address = CodeAddress,
    .call_max = kInstruction,
    .ends_with_call = EndsWithCall,
    .target_of_call = TargetOfCall,
};

}  // namespace obit
