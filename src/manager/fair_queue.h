#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <sys/types.h>

#include "manager/seat.h"

namespace obit {

/// Whose a crash is, where it comes to shares.
struct User {
  std::optional<uid_t> uid;  ///< of its process; nothing: that is not known
  auto operator<=>(const User&) const = default;
};

/// Crashes that wait for a seat. Whoever has least gets the next one; between equals, and of one user's, the
/// crash that came first: nobody's thousand crashes stand before another's first.
class FairQueue {
 public:
  void Add(User user, CrashKey crash);
  /// False: it does not wait here.
  bool Remove(User user, CrashKey crash);
  [[nodiscard]] std::size_t size() const { return size_; }
  /// True if there is a user who has crashes here and for whom `condition(user, crash)` holds. `crash`: his
  /// that came first.
  template <class Condition>
  [[nodiscard]] bool HasAny(Condition condition) const {
    for (const auto& [user, crashes] : waiting_)
      if (condition(user, *crashes.begin())) return true;
    return false;
  }

  /// The crash whose turn it is, which goes on waiting until Remove. `seats_of(user)`: how many seats this
  /// user has; nothing: he gets no more of them now.
  template <class SeatsOf>
  [[nodiscard]] std::optional<CrashKey> Next(SeatsOf seats_of) const {
    std::optional<std::pair<std::size_t, CrashKey>> best;
    for (const auto& [user, crashes] : waiting_)
      if (const std::optional<std::size_t> seats = seats_of(user))
        if (const std::pair candidate(*seats, *crashes.begin()); !best || candidate < *best) best = candidate;
    return best ? std::optional(best->second) : std::nullopt;
  }

 private:
  std::map<User, std::set<CrashKey>> waiting_;  // keys are in the order of arrival
  std::size_t size_ = 0;
};

}  // namespace obit
