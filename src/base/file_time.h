#pragma once

#include <cstdint>
#include <ctime>

namespace obit {

/// A time of a file, ns since 1970. File systems have times that 64 bits do not hold: such a one is the
/// nearest whose day they do, from 1677 to 2262.
[[nodiscard]] inline std::int64_t NanosecondsOf(const timespec& time) {
  constexpr std::int64_t kSecond = 1'000'000'000, kFirstDay = -106'751 * 86'400LL;
  if (time.tv_sec < kFirstDay) return kFirstDay * kSecond;
  if (time.tv_sec >= INT64_MAX / kSecond) return INT64_MAX;
  return time.tv_sec * kSecond + time.tv_nsec;
}

}  // namespace obit
