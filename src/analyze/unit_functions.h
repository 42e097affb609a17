#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <elfutils/libdw.h>

namespace obit {

/// The functions of one compilation unit by address. libdw's own dwarf_getscopes() does not look into
/// namespaces, where Rust has its functions, and goes through the whole unit each time. Bounded: hostile
/// trees can be endless.
class UnitFunctions {
 public:
  explicit UnitFunctions(Dwarf_Die unit);

  /// The entry of the function that `address` (as in its file) lies in, behind those of the calls that were
  /// inlined there, innermost first. Empty if there is none.
  [[nodiscard]] std::vector<Dwarf_Die> At(Dwarf_Addr address);
  /// Entries of the tree that were looked at until now.
  [[nodiscard]] std::uint64_t visited() const { return visited_ + visited_by_at_; }

 private:
  void Collect(Dwarf_Die die, int depth);

  struct Range {
    Dwarf_Addr begin, end;
    Dwarf_Die function;
  };
  std::vector<Range> ranges_;  // by begin
  std::uint64_t visited_ = 0, visited_by_at_ = 0;
};

/// The function's name with the namespaces and classes around it, for languages that give no linkage name;
/// `die` is its own or an inlined call's entry. Empty if it has no name.
[[nodiscard]] std::string QualifiedName(Dwarf_Die* die);

}  // namespace obit
