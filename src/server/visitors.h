#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Root and the server's own user may look who listens here (obit status, enable, doctor): who goes without a
/// byte is no stranger. Few are waited for, and not for long: everything else is told at once.
class Visitors {
 public:
  static constexpr std::size_t kMax = 8;
  static constexpr std::int64_t kPatience = 1'000'000'000;  ///< ns

  /// Takes somebody in who is not the kernel, as `why` says, and may be a visitor. False: he is none.
  [[nodiscard]] bool Receive(Fd& connection, const Error& why, std::int64_t now);
  /// His connection can be read, or has ended. True: he went as a visitor does; else why he is a stranger.
  [[nodiscard]] Result<void> Leave(int fd);
  /// One whose time is over at `now`.
  [[nodiscard]] std::optional<int> Overdue(std::int64_t now) const;
  [[nodiscard]] std::int64_t NextDeadline() const;  ///< INT64_MAX: nobody is there

 private:
  struct Visitor {
    Fd connection;
    Error why;
    std::int64_t deadline = 0;  // CLOCK_MONOTONIC, ns
  };
  std::map<int, Visitor> visitors_;
};

}  // namespace obit
