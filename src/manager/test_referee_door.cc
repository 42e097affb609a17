// What the referee allows at the door.

#include <algorithm>

#include "manager/door.h"
#include "manager/test_referee.h"

namespace obit::testing {

/// What the first of these shows was counted for an earlier manager.
void Referee::On(const event::DoorSeen& seen) {
  for (std::size_t i = 0; i < seen.places.size(); ++i) {
    const std::uint64_t more = seen.places[i].crashes - door_counted_[i];
    door_counted_[i] += more;
    if (door_known_) counted_at_door_ += more;
  }
  door_known_ = true;
  door_unseen_ = false;
  if (seen.moves.value_or(false)) door_moved_ = now_;
}

void Referee::On(const event::DoorLeft& left) {
  SimulatedSitter* keeper = Find(left.seat);
  if (keeper == nullptr || keeper->task != Task::kDoor || keeper->killed) return;
  Free(*keeper);
  door_unseen_ = true;
}

void Referee::On(const command::KeepDoor& keep) {
  SimulatedSitter* keeper = Find(keep.seat);
  if (keeper == nullptr) return Wrong("KeepDoor to nobody");
  const auto is_there = [](const auto& other) { return other.task == Task::kDoor && !other.killed; };
  Expect(keep.seat.role == Role::kInspector && keeper->idle && !keeper->killed && !keeper->left_behind,
         "who goes to the door has nothing to do");
  Expect(Count(Role::kInspector, is_there) == 0, "one inspector at the door");
  Expect(Count(Role::kInspector, [](const auto& other) { return !other.killed && !other.left_behind; }) > 1,
         "another inspector is left");
  Expect(granted_ == now_, "there is something to turn away");
  keeper->idle = false;
  keeper->task = Task::kDoor;
  keeper->crash = 0;
  keeper->asked = door_moved_ = now_;
  ++keeper->jobs;
}

void Referee::On(const command::TurnAway& turn) {
  if (turn.until == 0) return;  // no more
  Expect(stop_at_ == INT64_MAX, "nobody is turned away when it stops");
  Expect(turn.place < kDoorPlaces && turn.glance != 0, "a place at the door");
  Expect(site_found_ != 0 && crashes[site_found_].repeat, "what is turned away is only counted");
  Expect(turn.until <= boottime_ + Door::kMoment, "for a moment");
  granted_ = now_;
}

void Referee::On(const command::LeaveDoor& leave) {
  const SimulatedSitter* keeper = Find(leave.seat);
  Expect(keeper != nullptr && keeper->task == Task::kDoor && stop_at_ != INT64_MAX, "who is there may leave");
  told_to_leave_ = true;
}

/// One that does not move, or stays when nothing is to be turned away.
void Referee::JudgeKeeper(const SimulatedSitter& keeper) {
  ExpectBy(door_moved_ + loosest_.site.count(), "nobody moves at the door");
  ExpectBy(std::max(granted_, keeper.asked) + 4 * Door::kMoment + loosest_.site.count(),
           "an inspector stays at the door");
  Expect(stop_at_ == INT64_MAX || told_to_leave_, "who is at the door is told that it stops");
}

void Referee::ExpectKeeperHadTime(const SimulatedSitter& keeper) {
  std::int64_t since = std::min(std::max(keeper.asked, door_moved_), granted_ + 3 * Door::kMoment);
  if (stop_at_ != INT64_MAX) since = std::min(since, stop_at_ - setup_.limits.stop.count());
  Expect(Past(now_, since, tightest_.site) || StopOver(), "who is at the door has time");
}

}  // namespace obit::testing
