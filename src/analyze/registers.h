#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "arch/architecture.h"

namespace obit {

/// The registers of one frame by their DWARF numbers. Those of a caller are known only as far as its callee
/// saved them.
class Registers {
 public:
  static constexpr unsigned kCountMax = 33;

  /// None is known.
  explicit Registers(const Architecture& arch) : arch_(&arch) {}
  /// From all registers of NT_PRSTATUS; nothing is known from anything else.
  Registers(const Architecture& arch, std::span<const std::uint64_t> status);

  [[nodiscard]] std::optional<std::uint64_t> Get(unsigned number) const {
    return number < count() && (known_ >> number & 1) != 0 ? std::optional(value_[number]) : std::nullopt;
  }
  void Set(unsigned number, std::uint64_t value) {
    value_[number] = value;
    known_ |= std::uint64_t{1} << number;
  }
  [[nodiscard]] unsigned count() const { return static_cast<unsigned>(arch_->by_dwarf.size()); }
  [[nodiscard]] bool has_pc() const { return Get(arch_->dwarf_pc).has_value(); }
  [[nodiscard]] std::uint64_t pc() const { return value_[arch_->dwarf_pc]; }
  [[nodiscard]] std::uint64_t sp() const { return value_[arch_->dwarf_sp]; }
  void SetPc(std::uint64_t value) { Set(arch_->dwarf_pc, value); }
  void SetSp(std::uint64_t value) { Set(arch_->dwarf_sp, value); }

 private:
  const Architecture* arch_;
  std::array<std::uint64_t, kCountMax> value_{};
  std::uint64_t known_ = 0;
};

}  // namespace obit
