#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "policy/crash_sites.h"
#include "server/door_board.h"
#include "server/messages.h"

namespace obit {

/// A crash in the ledger.
struct LedgerEntry {
  RecordHead head;
  char comm[16] = {};  ///< empty: not known yet
};

/// What the manager has accepted and nobody has recorded yet, what is known of crash sites and of what was
/// only counted there, and how many crashes got no record: memory shared by obitd's processes, a file of a
/// tmpfs, so that it outlives each of them and obitd itself, but no reboot. The manager writes with plain
/// stores and never waits; what was being written when it died is told by its sequence number, and left out.
/// But a crash whose entry was being updated is there all the same: each word of it is the old or the new
/// one, and what names it is in both.
class Ledger {
 public:
  static constexpr std::size_t kSlots = 4096;  ///< of crashes beyond it only their number is in the ledger
  /// Crashes of which it has the repeats, beside those of the sites that it has. One more takes the place of
  /// one that is stored, or else of that which came first.
  static constexpr std::size_t kRepeats = 512;

  /// Maps the file at `path`, made anew if it is not there, not of this version, or not of this user alone.
  /// Empty `path`: memory without a file. Only of a tmpfs a page is never waited for (OnTmpfs).
  [[nodiscard]] static Result<Ledger> Open(const std::string& path);
  Ledger(Ledger&& other) noexcept;
  Ledger& operator=(Ledger&&) = delete;
  ~Ledger();

  /// Whether processes that are forked from here on have it in their memory, but for the door's board, of
  /// which that is said apart. All have, until this is called.
  [[nodiscard]] Result<void> LetChildrenHaveIt(bool have) const;

  /// In the same file, for the manager and for whoever keeps the door.
  [[nodiscard]] DoorBoard& door() { return door_; }
  [[nodiscard]] const DoorBoard& door() const { return door_; }

  // For the supervisor.
  /// A number for the next manager: no other that used this ledger had it, since it was made. What an earlier
  /// one had in the ledger, the door does not have besides.
  [[nodiscard]] std::uint32_t BeginGeneration();

  // For the manager.
  /// A slot with this entry; nothing: the ledger is full.
  [[nodiscard]] std::optional<std::size_t> Note(std::uint32_t generation, const LedgerEntry& entry);
  void Update(std::size_t slot, const LedgerEntry& entry);
  void Clear(std::size_t slot);
  /// One more of these.
  void Count(std::uint64_t Tallies::* which);
  /// So many more, or less, that are open without a slot.
  void CountUnlisted(int change);
  /// Those that a dead manager had are lost: nobody knows more of them.
  void LoseUnlisted();
  /// What is known of a site, in the place of what was before of this index. Below CrashSites::kStatesMax.
  void SaveSite(std::uint32_t index, const SiteState& site);
  /// By their index. Those that were being written when the manager died are not there; the log says so.
  [[nodiscard]] std::vector<SiteState> sites() const;
  /// Random, since the ledger was made: of the sites' keys.
  [[nodiscard]] HashKey site_key() const;

  // For the manager and the supervisor.
  /// Since the ledger was made; `repeated` with those that were counted at the door.
  [[nodiscard]] Tallies tallies() const;

  // For the clerk.
  [[nodiscard]] std::uint64_t lost() const;
  /// So many of those that are lost the log has told.
  [[nodiscard]] std::uint64_t lost_told() const;
  void LostTold(std::uint64_t count);
  struct Left {
    std::size_t slot = 0;
    LedgerEntry entry;
  };
  /// What managers of other generations left open. An entry stays until Clear. Those whose id is none, or
  /// whose enumerators have no name, are left out: the file may be anybody's work.
  [[nodiscard]] std::vector<Left> LeftBy(std::uint32_t other_than_generation) const;
  /// Whether some manager's crash of this id is open.
  [[nodiscard]] bool IsOpen(std::string_view id) const;
  /// Repeats, whichever manager counted them, of which RepeatsStored() was not told as many.
  [[nodiscard]] std::vector<RepeatsOfKept> UnstoredRepeats() const;
  /// The store has so many of them, or will never have any.
  void RepeatsStored(const Repeats& repeats);

 private:
  template <class Entry>
  struct Sequenced;
  struct Slot;
  struct RepeatsSlot;
  struct SiteSlot;
  struct Page;
  Ledger(Page* page, DoorBoard door) : page_(page), door_(std::move(door)) {}
  static Result<Ledger> Map(int fd);
  void TakeFromDoor();
  static std::size_t PageBytes();
  void KeepRepeats(const SiteState& site);
  Page* page_ = nullptr;
  DoorBoard door_;
};

/// True if the file at `path` lies in memory.
[[nodiscard]] bool OnTmpfs(const std::string& path);

}  // namespace obit
