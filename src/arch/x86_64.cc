#include <cstring>

#include <elf.h>

#include "arch/architecture.h"

namespace obit {
namespace {

constexpr Architecture::Register kRegisters[] = {
    {"rax", 10},     {"rbx", 5},     {"rcx", 11}, {"rdx", 12}, {"rsi", 13}, {"rdi", 14},
    {"rbp", 4},      {"rsp", 19},    {"r8", 9},   {"r9", 8},   {"r10", 7},  {"r11", 6},
    {"r12", 3},      {"r13", 2},     {"r14", 1},  {"r15", 0},  {"rip", 16}, {"eflags", 18, false},
    {"fs_base", 21}, {"gs_base", 22}};

/// System V ABI, AMD64 supplement, figure 3.36: rax rdx rcx rbx rsi rdi rbp rsp r8 ... r15, return address.
constexpr std::uint8_t kByDwarf[] = {10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16};

bool IsCanonical(std::uint64_t address) {
  const std::uint64_t high = address >> 47;
  return high == 0 || high == 0x1ffff;
}

/// arch/x86/include/uapi/asm/sigcontext.h: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
constexpr std::uint8_t kSignalOrder[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
constexpr std::string_view kTrampolines[] = {{"\xb8\x0f\0\0\0\x0f\x05", 7},          // mov $15,%eax; syscall
                                             {"\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9},  // mov $15,%rax; syscall
                                             {"\x6a\x0f\x58\x0f\x05", 5}};  // push $15; pop %rax; syscall
constexpr std::string_view kVfork{"\xb8\x3a\0\0\0\x0f\x05", 7};             // mov $58,%eax; syscall
/// rdi of glibc, rdx of musl; what a system call leaves.
constexpr std::uint8_t kVforkRegisters[] = {5, 1, 4, 8, 9, 10};

constexpr std::size_t kCallMax = 7;

bool EndsWithCall(std::span<const std::byte> bytes) {
  if (bytes.size() < kCallMax) return false;
  const auto at = [&](std::size_t before) { return std::to_integer<unsigned>(bytes[bytes.size() - before]); };
  if (at(5) == 0xe8) return true;                     // call rel32
  for (const std::size_t length : {2, 3, 4, 6, 7}) {  // call r/m64: ff /2, maybe behind a prefix
    if (at(length) == 0xff && (at(length - 1) >> 3 & 7) == 2) return true;
  }
  return false;
}

std::optional<std::uint64_t> TargetOfCall(std::span<const std::byte> bytes, std::uint64_t next) {
  constexpr std::size_t kCall = 5;  // e8 and the distance
  if (bytes.size() < kCall) return std::nullopt;
  const auto call = bytes.last(kCall);
  if (call.front() != std::byte{0xe8}) return std::nullopt;
  std::int32_t distance = 0;
  std::memcpy(&distance, call.data() + 1, sizeof distance);
  return next + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance));
}

}  // namespace

constexpr Architecture kX86_64{
    .machine = EM_X86_64,
    .name = "x86-64",
    .word = 8,
    .status_registers_at = 112,
    .register_count = 27,
    .sp = 19,
    .pc = 16,
    .thread_pointer = 21,
    .registers = kRegisters,
    .by_dwarf = kByDwarf,
    .dwarf_pc = 16,
    .dwarf_sp = 7,
    .dwarf_frame = 6,
    .red_zone = 128,
    .signal_frame = {.trampolines = kTrampolines,
                     .trampoline_max = 9,
                     .registers = 40,
                     .order = kSignalOrder},
    .vfork = kVfork,
    .vfork_registers = kVforkRegisters,
    .cfi_same = 3,      // rbx
    .cfi_not_same = 0,  // rax: backends/x86_64_cfi.c
    .is_canonical = IsCanonical,
    .code_address = [](std::uint64_t address) { return address; },
    .call_max = kCallMax,
    .ends_with_call = EndsWithCall,
    .target_of_call = TargetOfCall,
};

}  // namespace obit
