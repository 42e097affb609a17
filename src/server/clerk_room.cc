#include "server/clerk_room.h"

#include "server/clerk_books.h"
#include "server/clerk_retention.h"

namespace obit {

/// Before the first look at all crashes the index knows what their cores take.
Result<DiskRoom> ClerkRetention::Room() {
  if (!config_.retention) return DiskRoom();
  const RetentionLimits limits = OBIT_TRY(LimitsNow());
  StoreFill fill{.used = used_.value_or(0), .staying = staying_};
  if (!used_)
    if (const auto use = index_.Use()) fill.used = use->stored_bytes;
  return RoomOf(limits, fill, disk_bytes_, disk_free_);
}

void ClerkRoom::Changed() {
  if (soon_) return;
  if (auto later = loop_.After(std::chrono::nanoseconds(0), [this] { Tell(); })) soon_ = std::move(*later);
}

/// What cannot be known lowers nothing.
void ClerkRoom::Tell() {
  soon_ = EventSource();
  DiskRoom room = retention_.Room().value_or(DiskRoom());
  room.has_records = room.free > 0 || books_.failed() < kWaitingMax;
  tell_(room);
}

}  // namespace obit
