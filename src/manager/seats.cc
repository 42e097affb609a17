#include "manager/seats.h"

namespace obit {

void Seats::Ready(const Seat& seat) {
  if (Sitter* known = Find(seat)) {
    if (known->state != Sitter::State::kPreparing) return;
    known->state = Sitter::State::kIdle;
    waits.Clear(seat);
    return;
  }
  for (auto& [other, sitter] : sitters_) {
    if (other.role != seat.role || other.index != seat.index) continue;
    if (other.generation > seat.generation) return;  // it was replaced before it was ready
    sitter.left_behind = true;
    if (sitter.state == Sitter::State::kIdle || sitter.state == Sitter::State::kPreparing)
      Kill(sitter, "another has its seat");
  }
  sitters_.emplace(seat, Sitter{.seat = seat});
  DropSurplus();
}

std::optional<Sitter> Seats::Lose(const Seat& seat) {
  const auto found = sitters_.find(seat);
  if (found == sitters_.end()) return std::nullopt;
  Sitter lost = std::move(found->second);
  sitters_.erase(found);
  waits.Clear(seat);
  return lost;
}

Sitter* Seats::Find(const Seat& seat) {
  const auto found = sitters_.find(seat);
  return found == sitters_.end() ? nullptr : &found->second;
}

void Seats::Begin(Sitter& sitter, Sitter::Task task, const OpenCrash& crash) {
  sitter.state = Sitter::State::kBusy;
  sitter.task = task;
  sitter.crash = crash.key;
  sitter.user.reset();
  if (task != Sitter::Task::kRecovery) sitter.user = crash.user();
  sitter.facts_begun = sitter.has_read = sitter.may_keep = sitter.keeps = false;
  sitter.held_up.clear();
  sitter.started = sitter.progressed = state_.now;
}

void Seats::Done(Sitter& sitter) {
  sitter.crash = 0;
  if (sitter.state == Sitter::State::kKilled) return;
  sitter.user.reset();
  sitter.state = sitter.seat.role == Role::kWorker ? Sitter::State::kPreparing : Sitter::State::kIdle;
  sitter.progressed = state_.now;
  waits.Clear(sitter.seat);
  KillIfUnneeded(sitter);
}

void Seats::DropSurplus() {
  for (auto& [seat, sitter] : sitters_)
    if (sitter.state != Sitter::State::kBusy) KillIfUnneeded(sitter);
}

void Seats::BeginDoor(Sitter& sitter) {
  sitter.state = Sitter::State::kBusy;
  sitter.task = Sitter::Task::kDoor;
  sitter.crash = 0;
  sitter.user.reset();
  sitter.started = sitter.progressed = state_.now;
}

/// One that has nothing to do has had its last task.
void Seats::KillIfUnneeded(Sitter& sitter) {
  if (sitter.left_behind) Kill(sitter, "another has its seat");
  if (sitter.seat.role == Role::kWorker && sitter.seat.index >= state_.setup.workers)
    Kill(sitter, "its seat is not needed any more");
}

void Seats::NotBegun(Sitter& sitter) {
  sitter.crash = 0;
  if (sitter.state == Sitter::State::kKilled) return;
  sitter.user.reset();
  sitter.state = Sitter::State::kIdle;
  waits.Clear(sitter.seat);
  KillIfUnneeded(sitter);
}

void Seats::Kill(Sitter& sitter, std::string why) {
  if (sitter.state == Sitter::State::kKilled) return;
  sitter.state = Sitter::State::kKilled;
  sitter.killed = std::move(why);
  state_.Do(command::Kill{sitter.seat});
  waits.Set(sitter.seat, state_.now + state_.limits().die.count());
}

void Seats::Undead(Sitter& sitter) {
  if (sitter.aside) {  // what it keeps is not let go, and nobody knows when it will be
    sitter.aside = sitter.keeps = false;
    state_.Say(Severity::kWarning, "{} {} keeps memory and does not die", NameOf(sitter.seat.role),
               sitter.seat.index);
  }
  if (!sitter.left_behind) LeaveBehind(sitter, "it does not die");
  if (!sitter.left_behind) waits.Set(sitter.seat, state_.now + state_.limits().die.count());
}

void Seats::LeaveBehind(Sitter& sitter, const std::string& why) {
  if (!MayBeReplaced(sitter)) return;
  sitter.left_behind = true;
  state_.Say(Severity::kWarning, "{} {} is left behind, another takes its seat: {}", NameOf(sitter.seat.role),
             sitter.seat.index, why);
  state_.Do(command::LeaveBehind{sitter.seat});
}

void Seats::StepAside(Sitter& worker) {
  if (worker.left_behind || !MayBeReplaced(worker)) return;
  worker.left_behind = worker.aside = true;
  state_.Do(command::LeaveBehind{worker.seat});
}

bool Seats::MayBeReplaced(const Sitter& sitter) const {
  const std::size_t most = state_.limits().left_behind;
  const auto is_left = [&](const Sitter& other) {
    return other.left_behind && other.seat.role == sitter.seat.role;
  };
  if (Count(is_left) >= most) return false;
  const auto of_this_user = [&](const Sitter& other) { return is_left(other) && other.user == sitter.user; };
  return !sitter.user || Count(of_this_user) < ShareOf(most);
}

std::size_t Seats::InspectorsOf(User user) const {
  return Count(
      [&](const Sitter& sitter) { return sitter.seat.role == Role::kInspector && sitter.user == user; });
}

std::size_t Seats::Inspectors() const {
  return Count([](const Sitter& sitter) {
    return sitter.seat.role == Role::kInspector && sitter.state != Sitter::State::kKilled &&
           !sitter.left_behind;
  });
}

std::size_t Seats::WorkersOf(User user) const {
  return Count([&](const Sitter& sitter) {
    return sitter.seat.role == Role::kWorker && sitter.user == user && !sitter.left_behind;
  });
}

std::size_t Seats::UndeadWorkersOf(User user) const {
  return Count([&](const Sitter& sitter) {
    return sitter.seat.role == Role::kWorker && sitter.user == user && sitter.left_behind &&
           sitter.state == Sitter::State::kKilled;
  });
}

std::size_t Seats::Recoveries() const {
  return Count([](const Sitter& sitter) {
    return sitter.crash != 0 && sitter.task == Sitter::Task::kRecovery && !sitter.left_behind;
  });
}

std::size_t Seats::IdleWorkers() const {
  return Count([](const Sitter& sitter) {
    return sitter.seat.role == Role::kWorker && sitter.state == Sitter::State::kIdle;
  });
}

std::size_t Seats::BusyWorkers() const {
  return Count([](const Sitter& sitter) { return sitter.seat.role == Role::kWorker && sitter.crash != 0; });
}

std::size_t Seats::left_behind() const {
  return Count([](const Sitter& sitter) { return sitter.left_behind && !sitter.aside; });
}

std::size_t Seats::left_behind(Role role) const {
  return Count([&](const Sitter& sitter) { return sitter.left_behind && sitter.seat.role == role; });
}

}  // namespace obit
