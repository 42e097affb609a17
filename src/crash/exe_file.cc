#include "crash/exe_file.h"

#include <algorithm>

namespace obit {

ExeFile ExeFileOf(const struct stat& status) {
  constexpr std::int64_t kSecond = 1'000'000'000, kMax = INT64_MAX / kSecond - 1;
  const auto seconds = std::clamp<std::int64_t>(status.st_mtim.tv_sec, -kMax, kMax);  // it may be any number
  return {.inode = status.st_ino,
          .bytes = static_cast<std::uint64_t>(status.st_size),
          .modified = seconds * kSecond + status.st_mtim.tv_nsec};
}

}  // namespace obit
