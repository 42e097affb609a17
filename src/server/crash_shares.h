#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>

#include <sys/types.h>

#include "server/ledger.h"

namespace obit {

/// What each user's crashes take of what the manager can have: of those that are open, whose processes are
/// held or going; of those that it knows, which may only wait for the clerk; and of the ledger. Each may have
/// less than is free (as the buffers of a switch are shared by "dynamic thresholds"): one alone gets half,
/// two a third each, and there is always something for who comes new. Who crashes faster than the disk takes
/// records loses his own.
class CrashShares {
 public:
  using User = std::optional<uid_t>;
  static constexpr std::size_t kKnownMax = 8192;  ///< of all users
  /// Crashes that anybody may have open where there is room: so few are not shared.
  static constexpr std::size_t kOpenMin = 64;

  /// One more crash of this user, where so many may be open in all.
  [[nodiscard]] bool HasRoomFor(User user, std::size_t open_most) const {
    const Use use = UseOf(user);
    return use.open < std::max(Free(open_most, all_.open), kOpenMin) &&
           use.known < Free(kKnownMax, all_.known);
  }
  void Add(User user) {
    Take(user, &Use::open);
    Take(user, &Use::known);
  }
  /// It takes a slot of the ledger as well. False: it may not.
  [[nodiscard]] bool TakeSlot(User user) {
    if (UseOf(user).slots >= Free(Ledger::kSlots, all_.slots)) return false;
    Take(user, &Use::slots);
    return true;
  }
  void GiveSlotBack(User user) { Drop(user, &Use::slots); }
  /// Nothing of it is open any more.
  void Settle(User user) {
    ++waiting_;
    Drop(user, &Use::open);
  }
  /// One that is settled.
  void Forget(User user) {
    --waiting_;
    Drop(user, &Use::known);
  }
  /// One that was left by a dead manager, of which nothing is open: it takes nobody's share.
  void AddLeft() { ++waiting_; }
  void ForgetLeft() { --waiting_; }

  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  struct Use {
    std::size_t open = 0, known = 0, slots = 0;
  };
  static std::size_t Free(std::size_t most, std::size_t used) { return most - std::min(used, most); }
  [[nodiscard]] Use UseOf(User user) const {
    const auto found = uses_.find(user);
    return found == uses_.end() ? Use() : found->second;
  }
  void Take(User user, std::size_t Use::* what) {
    ++(uses_[user].*what);
    ++(all_.*what);
  }
  void Drop(User user, std::size_t Use::* what) {
    const auto found = uses_.find(user);
    --(all_.*what);
    --(found->second.*what);
    if (found->second.open + found->second.known + found->second.slots == 0) uses_.erase(found);
  }

  std::map<User, Use> uses_;
  Use all_;
  std::size_t waiting_ = 0;
};

}  // namespace obit
