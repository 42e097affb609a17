#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace obit {

/// What differs by processor in a core and in its analysis. "A register" is an index in the general-purpose
/// registers of NT_PRSTATUS: struct user_regs_struct of x86-64, struct user_pt_regs of aarch64.
struct Architecture {
  std::uint16_t machine = 0;  ///< EM_* of the ELF header
  std::string_view name;      ///< "x86-64"
  std::size_t word = 0;       ///< bytes of a `long`

  /// NT_PRSTATUS (struct elf_prstatus): where its registers begin, bytes, and how many there are. Sizes
  /// measured on Linux 6.18 (x86-64) or from the headers.
  std::size_t status_registers_at = 0, register_count = 0;
  std::size_t sp = 0, pc = 0;  ///< registers
  /// Holds the address of the thread's control block, where a register does.
  std::optional<std::size_t> thread_pointer;

  struct Register {
    std::string_view name;
    std::size_t index;
    bool is_pointer = true;  ///< and not flags
  };
  std::span<const Register> registers;  ///< what a report shows, in the order that people know

  /// Registers by their DWARF numbers, as call frame information names them; empty: obit does not unwind it.
  std::span<const std::uint8_t> by_dwarf;
  unsigned dwarf_pc = 0, dwarf_sp = 0, dwarf_frame = 0;
  /// Where a call leaves the return address; nothing: on the stack.
  std::optional<unsigned> dwarf_link;

  /// Below the stack pointer a function without a frame has its variables, bytes.
  std::uint64_t red_zone = 0;

  /// What the kernel puts on the stack for a signal handler, and the code that the handler returns to.
  struct SignalFrame {
    std::span<const std::string_view> trampolines;  ///< rt_sigreturn(2), as libraries write it
    std::size_t trampoline_max = 0;                 ///< bytes
    std::uint64_t context = 0;                      ///< struct ucontext, from the stack pointer there, bytes
    std::uint64_t registers = 0;                    ///< the general ones, from struct ucontext, bytes
    std::span<const std::uint8_t> order;            ///< their DWARF numbers
  } signal_frame;

  /// vfork(2), as libraries write it, and the DWARF numbers of registers that may keep the return address:
  /// the child has the parent's stack.
  std::string_view vfork;
  std::span<const std::uint8_t> vfork_registers;

  /// libdw's own rules for what no call frame information says name the second and mean the first.
  std::optional<unsigned> cfi_same, cfi_not_same;

  /// False for an address that cannot exist.
  bool (*is_canonical)(std::uint64_t address) = nullptr;
  /// A code address without what the processor keeps in its upper bits (pointer authentication).
  std::uint64_t (*code_address)(std::uint64_t address) = nullptr;

  static constexpr std::size_t kCallMax = 8;
  /// So many bytes, `call_max`, that end with a call instruction: what comes next is a return address.
  std::size_t call_max = 0;
  bool (*ends_with_call)(std::span<const std::byte> bytes) = nullptr;
  /// Where the direct call that `bytes`, which end at `next`, end with leads to.
  std::optional<std::uint64_t> (*target_of_call)(std::span<const std::byte> bytes,
                                                 std::uint64_t next) = nullptr;

  [[nodiscard]] bool can_unwind() const { return !by_dwarf.empty(); }
};

/// Null: obit does not know it.
[[nodiscard]] const Architecture* FindArchitecture(std::uint16_t machine);

extern const Architecture kX86_64, kAarch64, kI386;

}  // namespace obit
