#include "manager/door.h"

#include <algorithm>
#include <utility>

namespace obit {
namespace {

/// So long after a site had it, another gets its place: a keeper who is slow counts nothing of the one for
/// the other.
constexpr std::int64_t kRest = 1'000'000'000;  // ns

}  // namespace

void Door::Sighted(const CrashSites::Whereabouts& at, std::uint64_t glance) {
  if (glance == 0) return;
  const auto place = std::ranges::find(places_, glance, &Place::glance);
  if (place == places_.end() || place->state == at.state) return;
  place->is_mixed = true;
  Revoke(*place);
}

void Door::Counted(const CrashSites::Whereabouts& at, std::uint64_t glance, std::int64_t boottime) {
  if (glance == 0 || state_.stopping || !known_) return;
  Place* place = PlaceFor(glance, at.state, boottime);
  if (place == nullptr || place->is_mixed) return;
  ++place->crashes;
  const bool often = place->crashes >= kOften && state_.now - place->since < 2 * kMoment;
  if (!often && state_.now - place->since < kMoment) return;
  place->since = state_.now;
  place->crashes = 0;
  Sitter* keeper = often ? KeeperOrNext() : nullptr;
  if (keeper == nullptr) return;
  place->until = std::min(boottime + kMoment, state_.sites.UntilOf(at));
  place->is_granted = true;
  granted_at_ = state_.now;
  const auto number = static_cast<std::uint32_t>(place - places_.data());
  state_.sites.SendToDoor(at, number, place->counted);
  state_.Do(command::TurnAway{number, glance, place->until});
  if (keeper_) return SetDeadline();
  keeper_ = keeper->seat;
  moved_at_ = state_.now;
  seats_.BeginDoor(*keeper);
  SetDeadline();
  look_at_ = state_.now + kMoment;
  state_.Do(command::KeepDoor{*keeper_});
}

Door::Place* Door::PlaceFor(std::uint64_t glance, std::uint32_t state, std::int64_t boottime) {
  const auto known = std::ranges::find(places_, glance, &Place::glance);
  if (known != places_.end()) return &*known;
  const auto oldest = std::ranges::min_element(places_, {}, &Place::since);
  if (oldest->until != 0 && boottime < oldest->until + kRest) return nullptr;
  *oldest = {.glance = glance, .state = state, .since = state_.now, .counted = oldest->counted};
  return &*oldest;
}

/// Null: nobody is free, or nobody else would be left.
Sitter* Door::KeeperOrNext() {
  if (keeper_) return seats_.Find(*keeper_);
  return seats_.Inspectors() < 2 ? nullptr : seats_.Idle(Role::kInspector);
}

void Door::Look() {
  look_at_ = state_.now + kMoment;
  state_.Do(command::LookAtDoor{});
}

/// He leaves by himself when nothing is to be turned away any more.
void Door::SetDeadline() {
  const std::int64_t since = std::min({moved_at_, granted_at_ + 3 * kMoment, told_to_leave_});
  seats_.waits.Set(*keeper_, since + state_.limits().site.count());
}

void Door::On(const event::DoorSeen& seen) {
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    place.crashes += state_.sites.CountedAtDoor(i, seen.places[i].crashes, seen.places[i].last);
    place.counted = seen.places[i].crashes;
  }
  known_ = true;
  unseen_ = false;
  if (seen.moves.value_or(false)) moved_at_ = state_.now;
  if (keeper_) SetDeadline();
}

void Door::On(const event::DoorLeft& left) {
  if (keeper_ != left.seat) return;
  if (Sitter* keeper = seats_.Find(left.seat)) seats_.Done(*keeper);
  Closed();
}

/// What one of before had counted since he was given up is told too.
void Door::Lost(const Seat& seat) {
  if (keeper_ == seat) return Closed();
  state_.Do(command::LookAtDoor{});
}

/// What he has counted is seen when he is dead.
void Door::Overdue(Sitter& keeper) {
  state_.Say(Severity::kWarning, "inspector {} does not move at the door: sending SIGKILL",
             keeper.seat.index);
  seats_.Kill(keeper, "it did not move at the door");
  keeper_.reset();
  unseen_ = true;
  look_at_ = INT64_MAX;
}

/// He counts no more.
void Door::Closed() {
  keeper_.reset();
  unseen_ = true;
  look_at_ = INT64_MAX;
  state_.Do(command::LookAtDoor{});
}

void Door::Leave() {
  told_to_leave_ = state_.now;
  if (!keeper_) return;
  state_.Do(command::LeaveDoor{*keeper_});
  SetDeadline();
}

void Door::LeaveNow() {
  if (Sitter* keeper = keeper_ ? seats_.Find(*keeper_) : nullptr) Overdue(*keeper);
}

void Door::Revoke() {
  for (Place& place : places_) Revoke(place);
}

void Door::Revoke(Place& place) {
  if (!std::exchange(place.is_granted, false)) return;
  state_.Do(command::TurnAway{static_cast<std::uint32_t>(&place - places_.data()), place.glance, 0});
}

}  // namespace obit
