#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "analyze/modules.h"
#include "analyze/unit_functions.h"
#include "analyze/unwinder.h"
#include "crash/report.h"

namespace obit {

/// Names for addresses: functions by debug information, else by symbol tables; source lines; inlined
/// functions.
class Symbolizer {
 public:
  explicit Symbolizer(Modules& modules) : modules_(modules) {}

  /// The frames that `frame` stands for: inlined functions first, the one they were inlined into last.
  [[nodiscard]] std::vector<Frame> Name(const RawFrame& frame);

  /// What it took until now, in what it takes to look at a symbol: some nanoseconds, whatever the machine
  /// does besides.
  [[nodiscard]] std::uint64_t work() const { return work_; }

 private:
  /// Compilation units by address, for files whose .debug_aranges is not complete (LLVM writes none).
  struct Units {
    struct Range {
      Dwarf_Addr begin, end;
      Dwarf_Off unit;
    };
    std::vector<Range> ranges;
  };

  std::vector<Frame> Find(const RawFrame& frame);
  bool UnitOf(std::uint32_t module, Dwarf* debug, Dwarf_Addr address, Dwarf_Die& unit);
  void NameByDebug(std::uint32_t module, std::uint64_t lookup, std::vector<Frame>& frames);
  void NameBySymbol(std::uint32_t module, std::uint64_t lookup, std::uint64_t pc, Frame& frame);

  Modules& modules_;
  std::uint64_t work_ = 0;
  std::unordered_map<std::uint64_t, std::vector<Frame>> known_;  // by lookup address
  std::map<std::uint32_t, Units> units_;
  std::unordered_map<void*, UnitFunctions> functions_;  // by the unit's entry
};

}  // namespace obit
