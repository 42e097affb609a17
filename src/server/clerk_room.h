#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include "policy/disk_room.h"
#include "process/event_loop.h"

namespace obit {

class ClerkBooks;
class ClerkRetention;

/// Tells the manager, who has no file, what the store may still take. An idle clerk does not look.
class ClerkRoom {
 public:
  /// With so many records that wait for room on a full disk, more crashes are only counted.
  static constexpr std::size_t kWaitingMax = 256;

  /// All that is given outlives it.
  ClerkRoom(EventLoop& loop, ClerkRetention& retention, const ClerkBooks& books,
            std::function<void(const DiskRoom&)> tell)
      : loop_(loop), retention_(retention), books_(books), tell_(std::move(tell)) {}

  /// Something came or went: tells, once for all of this turn of the loop.
  void Changed();
  void Tell();

 private:
  EventLoop& loop_;
  ClerkRetention& retention_;
  const ClerkBooks& books_;
  std::function<void(const DiskRoom&)> tell_;
  EventSource soon_;
};

}  // namespace obit
