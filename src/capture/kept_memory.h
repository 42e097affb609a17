#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "capture/memory_view.h"
#include "capture/process_map.h"
#include "elf/core_layout.h"

namespace obit {

/// Addresses, as ranges apart from each other.
class AddressSet {
 public:
  /// Returns how many of them are new.
  std::uint64_t Add(std::uint64_t begin, std::uint64_t end);
  [[nodiscard]] bool Has(std::uint64_t address) const;
  /// The part of [begin, end) that is not in it.
  [[nodiscard]] std::vector<MemoryRun> Without(std::uint64_t begin, std::uint64_t end) const;
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& ranges() const { return ranges_; }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // begin to end
};

/// What a minimal core keeps of the memory of a process, while that is being found out. Every address is
/// taken from that memory and may be anything.
class KeptMemory {
 public:
  /// What it may cost to look around, whatever memory says: a list may go round, and have no end.
  struct Budget {
    std::uint64_t looks = 100'000;  ///< scans, and pages read: some microseconds each
    std::uint64_t words = 4 << 20;  ///< taken from pages that were read
    /// Is asked at every look, and now and then; false: there is no more time.
    std::function<bool()> go_on;
  };
  /// Keeps `max` bytes at most.
  KeptMemory(MemoryView& view, const ProcessMap& map, std::uint64_t max, Budget budget)
      : view_(view), map_(map), max_(max), budget_(std::move(budget)) {}

  [[nodiscard]] const ProcessMap& map() const { return map_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  /// Nothing more is kept: there is no room, or to look for more would cost too much.
  [[nodiscard]] bool is_full() const { return bytes_ >= max_ || is_over_; }
  [[nodiscard]] bool can_read() const { return view_.can_read(); }
  /// The page of `address` is kept.
  [[nodiscard]] bool Has(std::uint64_t address) const { return kept_.Has(address); }

  /// Keeps the pages of [address, address + bytes) that hold something, of all mappings there; returns how
  /// many bytes that was.
  std::uint64_t Keep(std::uint64_t address, std::uint64_t bytes);
  /// The first `max` bytes of those.
  std::uint64_t KeepFirst(std::uint64_t address, std::uint64_t bytes, std::uint64_t max);
  /// The same of pages of another kind, of one mapping.
  std::uint64_t Keep(std::uint64_t address, std::uint64_t bytes, PageKind kind);
  /// Keeps all of a mapping, whatever is said of its pages.
  void KeepWhole(const ProcessMapping& mapping);

  /// Fills `out` from `address`, page by page, with what can be read without a wait; false: not all can.
  bool Read(std::uint64_t address, std::span<std::byte> out);
  [[nodiscard]] std::optional<std::uint64_t> ReadWord(std::uint64_t address);
  /// The words of [begin, end) that are kept, in order, until `use` says no. It may keep more meanwhile, but
  /// not read.
  void ForEachKeptWord(std::uint64_t begin, std::uint64_t end,
                       const std::function<bool(std::uint64_t word)>& use);
  /// The length of the text at `address`, `max` at most.
  [[nodiscard]] std::uint64_t TextLength(std::uint64_t address, std::uint64_t max);

  /// What is kept, by address. Pages that were looked at and never held anything have no bytes in the core:
  /// zero is their value.
  [[nodiscard]] std::vector<CoreRun> Runs() const;

 private:
  std::uint64_t KeepOf(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin, std::uint64_t end,
                       std::uint64_t max);
  const std::vector<std::byte>& Page(std::uint64_t address);
  bool Take(std::uint64_t& budget, std::uint64_t asked_each);

  MemoryView& view_;
  const ProcessMap& map_;
  const std::uint64_t max_;
  std::uint64_t bytes_ = 0;
  Budget budget_;
  bool is_over_ = false;
  AddressSet kept_, looked_at_;                                      // looked_at_: of anonymous memory
  std::unordered_map<std::uint64_t, std::vector<std::byte>> pages_;  // empty: it cannot be read
};

}  // namespace obit
