#include "server/supervisor_seats.h"

#include <algorithm>

namespace obit {

void SupervisorSeats::SetCount(Role role, std::uint32_t count) {
  counts_[NumberOf(role)] = count;
  auto& places = places_[NumberOf(role)];
  if (places.size() < count) places.resize(count);
}

std::vector<Seat> SupervisorSeats::Due(Role role, std::int64_t now) const {
  std::vector<Seat> due;
  const auto& places = places_[NumberOf(role)];
  for (std::uint32_t index = 0; index < counts_[NumberOf(role)]; ++index)
    if (const Place& place = places[index]; place.pid < 0 && place.not_before <= now)
      due.push_back({role, index, place.generation + 1});
  return due;
}

std::int64_t SupervisorSeats::NextDue(std::int64_t now) const {
  std::int64_t next = INT64_MAX;
  for (std::size_t role = 0; role < kRoles; ++role)
    for (std::uint32_t index = 0; index < counts_[role]; ++index)
      if (const Place& place = places_[role][index]; place.pid < 0 && place.not_before > now)
        next = std::min(next, place.not_before);
  return next;
}

SupervisorSeats::Process& SupervisorSeats::Sit(const Seat& seat, pid_t pid, std::int64_t now) {
  Place& place = places_[NumberOf(seat.role)].at(seat.index);
  place.pid = pid;
  place.generation = seat.generation;
  return processes_[pid] = {.seat = seat, .pid = pid, .started = now};
}

void SupervisorSeats::Fail(const Seat& seat, std::int64_t now) {
  Pause(places_[NumberOf(seat.role)].at(seat.index), now);
}

void SupervisorSeats::Pause(Place& place, std::int64_t now) const {
  place.pause = std::clamp(place.pause * 2, times_.first_pause, times_.longest_pause);
  place.not_before = now + place.pause.count();
}

void SupervisorSeats::Leave(const Process& process) {
  if (IsLeft(process)) return;
  Place& place = places_[NumberOf(process.seat.role)][process.seat.index];
  place.pid = -1;
  place.not_before = 0;
}

std::optional<SupervisorSeats::Process> SupervisorSeats::Take(pid_t pid, std::int64_t now, bool blamed) {
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return std::nullopt;
  const Process process = found->second;
  if (!IsLeft(process)) {
    Place& place = places_[NumberOf(process.seat.role)][process.seat.index];
    place.pid = -1;
    if (now - process.started >= times_.quick.count()) place.pause = {};
    if (blamed && now - process.started < times_.quick.count())
      Pause(place, now);
    else
      place.not_before = now;
  }
  processes_.erase(found);
  return process;
}

SupervisorSeats::Process* SupervisorSeats::At(Role role, std::uint32_t index) {
  const Place* place = PlaceOf({role, index, 0});
  return place == nullptr ? nullptr : Find(place->pid);
}

SupervisorSeats::Process* SupervisorSeats::Find(pid_t pid) {
  const auto found = processes_.find(pid);
  return found == processes_.end() ? nullptr : &found->second;
}

std::size_t SupervisorSeats::left_behind() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(processes_, [this](const auto& entry) { return IsLeft(entry.second); }));
}

bool SupervisorSeats::IsLeft(const Process& process) const {
  const Place* place = PlaceOf(process.seat);
  return place == nullptr || place->pid != process.pid;
}

const SupervisorSeats::Place* SupervisorSeats::PlaceOf(const Seat& seat) const {
  if (NumberOf(seat.role) >= kRoles) return nullptr;  // from a message
  const auto& places = places_[NumberOf(seat.role)];
  return seat.index < places.size() ? &places[seat.index] : nullptr;
}

}  // namespace obit
