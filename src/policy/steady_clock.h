#pragma once

#include <cstdint>

namespace obit {

/// Whether the wall clock may be believed when it says that something is old. A host without a battery begins
/// in 1970, and a wrong server of the time makes any day of it: then all is old at once, or nothing is. So it
/// counts only once it has gone along with the clock that nobody sets for an hour.
class SteadyClock {
 public:
  /// All in ns: CLOCK_REALTIME and CLOCK_BOOTTIME, as they are now.
  [[nodiscard]] bool IsSteady(std::int64_t realtime, std::int64_t boottime) {
    const std::int64_t offset = realtime - boottime;
    if (!known_ || offset > offset_ + kJump || offset < offset_ - kJump) {
      jumped_ = known_;
      known_ = true;
      since_ = boottime;
    }
    offset_ = offset;
    return boottime - since_ >= kSteady;
  }
  /// It was set by more than a day since the first call, and is not steady since.
  [[nodiscard]] bool has_jumped() const { return jumped_; }

 private:
  static constexpr std::int64_t kHour = 3'600'000'000'000, kJump = 24 * kHour, kSteady = kHour;

  bool known_ = false, jumped_ = false;
  std::int64_t offset_ = 0, since_ = 0;
};

}  // namespace obit
