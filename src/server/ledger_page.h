#pragma once

// What lies in the ledger's memory: for ledger*.cc only.

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>

#include "crash/record.h"
#include "server/facts_record.h"
#include "server/ledger.h"

namespace obit {

inline constexpr std::array<char, 8> kLedgerMagic{'o', 'b', 'i', 't', 'l', 'e', 'd', 'g'};
inline constexpr std::uint32_t kLedgerVersion = 9;
inline constexpr std::uint32_t kLedgerFree = 0;  // no generation has this number

/// RepeatsOfKept, of a site that goes on with another.
struct LedgerRepeats {
  CrashIdBytes id = {};
  std::int64_t kept_time = 0;
  std::uint64_t crashes = 0;
  std::int64_t first = 0, last = 0;
};
/// The generation of all sites and repeats: they are for whoever comes.
inline constexpr std::uint32_t kLedgerUsed = 1;

inline LedgerRepeats RepeatsIn(const SiteState& site) {
  LedgerRepeats repeats{
      .kept_time = site.kept_time, .crashes = site.repeats, .first = site.first, .last = site.last};
  SetText(repeats.id, site.kept());
  return repeats;
}

/// Odd `sequence`: being written. Words, so that a reader and the writer may meet: what it read is nothing
/// unless the sequence stayed.
template <class Entry>
struct Ledger::Sequenced {
  static_assert(std::has_unique_object_representations_v<Entry> &&
                sizeof(Entry) % sizeof(std::uint64_t) == 0);
  static constexpr std::size_t kWords = sizeof(Entry) / sizeof(std::uint64_t);
  using Words = std::array<std::uint64_t, kWords>;

  std::atomic<std::uint32_t> sequence, generation;
  std::array<std::atomic<std::uint64_t>, kWords> words;

  /// For the manager, of which there is one: an odd sequence is left of a dead one.
  void Write(std::uint32_t of, const Entry& entry) {
    const auto plain = std::bit_cast<Words>(entry);
    const std::uint32_t open = sequence.load(std::memory_order_relaxed) | 1;
    sequence.store(open, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < kWords; ++i) words[i].store(plain[i], std::memory_order_relaxed);
    generation.store(of, std::memory_order_release);  // whoever sees it sees the words
    sequence.store(open + 1, std::memory_order_release);
  }

  [[nodiscard]] std::optional<Entry> ReadUnless(std::uint32_t of) const {
    const std::uint32_t before = sequence.load(std::memory_order_acquire);
    const std::uint32_t by = generation.load(std::memory_order_relaxed);
    if (by == kLedgerFree || by == of || before % 2 != 0) return std::nullopt;
    Words plain;
    for (std::size_t i = 0; i < kWords; ++i) plain[i] = words[i].load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (sequence.load(std::memory_order_relaxed) != before) return std::nullopt;
    return std::bit_cast<Entry>(plain);
  }

  /// Reads what a dead writer left: nothing changes, and what it was writing is of the same crash, word by
  /// word.
  [[nodiscard]] std::optional<Entry> ReadLeftUnless(std::uint32_t of) const {
    const std::uint32_t by = generation.load(std::memory_order_acquire);
    if (by == kLedgerFree || by == of) return std::nullopt;
    Words plain;
    for (std::size_t i = 0; i < kWords; ++i) plain[i] = words[i].load(std::memory_order_relaxed);
    return std::bit_cast<Entry>(plain);
  }

  [[nodiscard]] bool free() const { return generation.load(std::memory_order_relaxed) == kLedgerFree; }
};

struct Ledger::Slot : Sequenced<LedgerEntry> {};

/// `stored` is the clerk's: so many are in the store.
struct Ledger::RepeatsSlot : Sequenced<LedgerRepeats> {
  std::atomic<std::uint64_t> stored;

  [[nodiscard]] std::optional<LedgerRepeats> Repeats() const { return ReadUnless(kLedgerFree); }
};
struct Ledger::SiteSlot : Sequenced<SiteState> {
  std::atomic<std::uint64_t> stored;

  [[nodiscard]] std::optional<LedgerRepeats> Repeats() const {
    const auto site = ReadUnless(kLedgerFree);
    return site && site->has_kept() ? std::optional(RepeatsIn(*site)) : std::nullopt;
  }
};

struct Ledger::Page {
  std::array<char, 8> magic;
  std::uint32_t version, size;
  std::atomic<std::uint32_t> generation;  // the last that was begun
  std::atomic<std::uint32_t> next;        // where to look for a free slot: any value will do
  std::uint64_t next_repeats;             // for the manager: as `next`
  std::atomic<std::uint64_t> repeated, counted, over_budget, no_room, lost;  // Tallies; the manager's
  std::atomic<std::uint64_t> lost_told;                                      // the clerk's
  std::atomic<std::uint64_t> unlisted;  // the manager's: open, and in no slot

  [[nodiscard]] std::atomic<std::uint64_t>& Tally(std::uint64_t Tallies::* which) {
    if (which == &Tallies::repeated) return repeated;
    if (which == &Tallies::over_budget) return over_budget;
    if (which == &Tallies::no_room) return no_room;
    return which == &Tallies::counted ? counted : lost;
  }
  std::array<Slot, kSlots> slots;
  std::array<RepeatsSlot, kRepeats> repeats;
  std::array<SiteSlot, CrashSites::kStatesMax> sites;
  HashKey site_key;

  /// Calls `see` with each slot that has repeats, and with these.
  template <class See>
  void ForEachRepeats(See see) {
    const auto look = [&](auto& table) {
      for (auto& slot : table)
        if (const auto entry = slot.Repeats(); entry && IsCrashId({entry->id, sizeof entry->id}))
          see(slot, *entry);
    };
    look(repeats);
    look(sites);
  }
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

  [[nodiscard]] bool IsOfThisVersion() const {
    return magic == kLedgerMagic && version == kLedgerVersion && size == sizeof(Page);
  }
};

}  // namespace obit
