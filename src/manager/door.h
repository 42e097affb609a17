#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "manager/seats.h"
#include "manager/state.h"

namespace obit {

/// Who stands at the coredump socket (server/doorkeeper.h) while crashes of some sites come often and are
/// only counted: an inspector, who turns them away without the manager. He is told which for a moment only:
/// then the next crash of each comes the usual way again, is looked at closely, and shows whether that goes
/// on.
class Door {
 public:
  static constexpr std::int64_t kMoment = 100'000'000;  ///< ns
  static constexpr std::uint64_t kOften = 8;            ///< crashes of a site in a moment or two

  Door(ManagerState& state, Seats& seats) : state_(state), seats_(seats) {}

  /// A crash of this site was looked at. None is turned away of two sites that look the same.
  void Sighted(const CrashSites::Whereabouts& at, std::uint64_t glance);
  /// One more crash of this site was only counted. `glance`: how it is known at the door; 0: not at all.
  void Counted(const CrashSites::Whereabouts& at, std::uint64_t glance, std::int64_t boottime);
  void On(const event::DoorSeen& seen);
  void On(const event::DoorLeft& left);
  /// He is dead, or somebody is who was there before.
  void Lost(const Seat& seat);
  /// He should have left, or does not move.
  void Overdue(Sitter& keeper);
  /// What was to be turned away may be kept.
  void Revoke();
  /// obitd stops: he is to leave; the time to stop is over: he is not waited for.
  void Leave();
  void LeaveNow();

  [[nodiscard]] bool open() const { return keeper_.has_value(); }
  /// What was counted there is known.
  [[nodiscard]] bool seen() const { return !unseen_; }
  /// When to look at what was counted.
  [[nodiscard]] std::int64_t Next() const { return look_at_; }
  void Look();

 private:
  /// A site whose crashes may be turned away.
  struct Place {
    std::uint64_t glance = 0;
    std::uint32_t state = 0;    // of the site
    bool is_mixed = false;      // another site looks the same
    std::int64_t since = 0;     // the present moment began
    std::uint64_t crashes = 0;  // in it
    std::int64_t until = 0;     // CLOCK_BOOTTIME; of the last time that it was granted
    bool is_granted = false;
    std::uint64_t counted = 0;  // of whichever sites
  };
  [[nodiscard]] Place* PlaceFor(std::uint64_t glance, std::uint32_t state, std::int64_t boottime);
  void Revoke(Place& place);
  [[nodiscard]] Sitter* KeeperOrNext();
  void Closed();
  void SetDeadline();

  ManagerState& state_;
  Seats& seats_;
  std::array<Place, kDoorPlaces> places_;
  std::optional<Seat> keeper_;
  bool known_ = false;           // what was counted before, be it for an earlier manager
  bool unseen_ = false;          // what the last keeper counted
  std::int64_t granted_at_ = 0;  // the last time that any crash was to be turned away
  std::int64_t moved_at_ = 0;    // when he was seen to move
  std::int64_t told_to_leave_ = INT64_MAX;
  std::int64_t look_at_ = INT64_MAX;
};

}  // namespace obit
