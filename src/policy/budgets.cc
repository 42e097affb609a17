#include "policy/budgets.h"

#include <algorithm>
#include <array>
#include <span>

namespace obit {
namespace {

Budgets::Room RoomWithin(std::uint64_t crashes, std::uint64_t bytes, std::uint64_t crashes_max,
                         std::uint64_t bytes_max) {
  if (crashes_max != 0 && crashes >= crashes_max) return Budgets::Room::kCount;
  return bytes_max != 0 && bytes >= bytes_max ? Budgets::Room::kEvent : Budgets::Room::kCore;
}

}  // namespace

/// Users are told from units by the key, and by how much is hashed.
Budgets::Whose Budgets::AccountsOf(const Origin& origin) const {
  const std::uint64_t share = origin.share ? std::uint64_t{*origin.share} : UINT64_MAX;
  const std::array<std::uint64_t, 3> user{share, origin.known ? 1U : 0U, origin.known ? origin.container : 0};
  Whose whose{.user = std::max<std::uint64_t>(KeyedHash(key_, std::as_bytes(std::span(user))), 1),
              .unit_of_system = origin.unit_of_system};
  if (origin.unit.empty()) return whose;
  const HashKey of_units{~key_.first, key_.second};
  const std::array<std::uint64_t, 2> unit{share, KeyedHash(of_units, std::as_bytes(std::span(origin.unit)))};
  whose.unit = std::max<std::uint64_t>(KeyedHash(of_units, std::as_bytes(std::span(unit))), 1);
  return whose;
}

void Budgets::MakeRoom(std::int64_t now, std::uint64_t but) {
  if (accounts_.size() < kAccountsMax) return;
  if (std::erase_if(accounts_, [&](const auto& one) { return one.second.until <= now && one.first != but; }) >
      0)
    return;
  accounts_.erase(std::ranges::min_element(
      accounts_, {}, [but](const auto& one) { return one.first == but ? UINT64_MAX : one.second.crashes; }));
}

Budgets::Account& Budgets::AccountOf(std::uint64_t key, std::int64_t now, const Config& config,
                                     std::uint64_t but) {
  auto found = accounts_.find(key);
  if (found == accounts_.end()) {
    MakeRoom(now, but);
    found = accounts_.emplace(key, Account{}).first;
  }
  if (now >= found->second.until)
    found->second = {.until = now + std::chrono::nanoseconds(config.budget_window).count()};
  return found->second;
}

Budgets::Account* Budgets::Known(std::uint64_t key) {
  const auto account = key == 0 ? accounts_.end() : accounts_.find(key);
  return account == accounts_.end() ? nullptr : &account->second;
}

Budgets::Room Budgets::RoomFor(const Whose& whose, std::int64_t now, const Config& config) {
  const Account user = AccountOf(whose.user, now, config, whose.unit);
  Room room = RoomWithin(user.crashes, user.bytes, config.user_crashes, config.user_bytes);
  if (whose.unit == 0) return room;
  const Account unit = AccountOf(whose.unit, now, config, whose.user);
  if (room == Room::kCount && whose.unit_of_system) room = Room::kEvent;
  return std::max(room, RoomWithin(unit.crashes, unit.bytes, config.unit_crashes, config.unit_bytes));
}

void Budgets::Take(Whose& whose, std::uint64_t promised) {
  const auto take = [&](std::uint64_t key, std::int64_t& until) {
    Account* account = Known(key);
    if (account == nullptr) return;
    until = account->until;
    ++account->crashes;
    account->bytes += std::min(promised, UINT64_MAX - account->bytes);
  };
  take(whose.user, whose.user_until);
  take(whose.unit, whose.unit_until);
}

void Budgets::Ended(const Whose& whose, std::uint64_t promised, std::uint64_t bytes) {
  const auto end = [&](std::uint64_t key, std::int64_t until) {
    Account* account = Known(key);
    if (account == nullptr || account->until != until) return;
    account->bytes -= std::min(promised, account->bytes);
    account->bytes += std::min(bytes, UINT64_MAX - account->bytes);
  };
  end(whose.user, whose.user_until);
  end(whose.unit, whose.unit_until);
}

}  // namespace obit
