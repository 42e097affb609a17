#pragma once

#include "base/fd.h"

namespace obit {

inline constexpr int kIoprioOfProcess = 1;  ///< IOPRIO_WHO_PROCESS of include/uapi/linux/ioprio.h

/// Goes on as somebody whom nobody waits for.
class Background {
 public:
  /// Opens what Enter() needs: before the process confines itself.
  Background();

  /// The calling thread, and those that it starts from now on, have the processors and the disk after all
  /// others; and where memory is short this process is the first that the kernel kills.
  void Enter() const;

 private:
  Fd score_;  // /proc/self/oom_score_adj; empty: it cannot be changed
};

}  // namespace obit
