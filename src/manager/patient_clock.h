#pragma once

#include <algorithm>
#include <cstdint>

namespace obit {

/// Time in which the manager itself did not run is nobody's fault: called much later than it asked for (the
/// machine stood still, or was starved), it finds the answers of others and their deadlines at once. This
/// clock then goes on from shortly before the first deadline, so that the answers are read first.
class PatientClock {
 public:
  static constexpr std::int64_t kLate = 100'000'000;  ///< ns: a load that is no standstill
  static constexpr std::int64_t kSeldom =
      10'000'000'000;  ///< from one correction to the next: time must go on

  /// The time for `now` of CLOCK_MONOTONIC, where `due`, of this clock, is the first deadline.
  std::int64_t Read(std::int64_t now, std::int64_t due) {
    const std::int64_t before = shown_;
    shown_ = now - missed_;
    if (shown_ > due && shown_ - due > kLate && now >= correct_again_) {
      const std::int64_t resumed = std::max(before, due - kLate);
      missed_ += shown_ - resumed;
      shown_ = resumed;
      correct_again_ = now + kSeldom;
    }
    return shown_;
  }
  /// CLOCK_MONOTONIC at a time of this clock.
  [[nodiscard]] std::int64_t ToMonotonic(std::int64_t at) const {
    return at == INT64_MAX ? INT64_MAX : at + missed_;
  }

 private:
  std::int64_t shown_ = 0, missed_ = 0, correct_again_ = INT64_MIN;
};

}  // namespace obit
