#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace obit {

/// Things that wait for the time, each for one.
template <class Thing>
class Deadlines {
 public:
  /// INT64_MAX: it waits no more.
  void Set(const Thing& thing, std::int64_t at) {
    const auto found = by_thing_.find(thing);
    if (found != by_thing_.end()) {
      if (found->second == at) return;
      in_order_.erase({found->second, thing});
      if (at == INT64_MAX) by_thing_.erase(found);
    }
    if (at == INT64_MAX) return;
    by_thing_[thing] = at;
    in_order_.emplace(at, thing);
  }
  void Clear(const Thing& thing) { Set(thing, INT64_MAX); }

  [[nodiscard]] std::int64_t Next() const { return in_order_.empty() ? INT64_MAX : in_order_.begin()->first; }
  /// One whose time has come, which no longer waits.
  [[nodiscard]] std::optional<Thing> TakeDue(std::int64_t now) {
    if (Next() > now) return std::nullopt;
    const Thing thing = in_order_.begin()->second;
    Clear(thing);
    return thing;
  }

 private:
  std::map<Thing, std::int64_t> by_thing_;
  std::set<std::pair<std::int64_t, Thing>> in_order_;
};

}  // namespace obit
