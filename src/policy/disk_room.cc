#include "policy/disk_room.h"

namespace obit {
namespace {

std::uint64_t Sum(std::uint64_t a, std::uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }
std::uint64_t Less(std::uint64_t from, std::uint64_t bytes) { return from - std::min(from, bytes); }

/// No core takes the last of a disk: records of many crashes have room in it.
std::uint64_t KeptForRecords(std::uint64_t disk_bytes) {
  constexpr std::uint64_t kMost = 64 << 20, kPart = 256;
  return std::min(disk_bytes / kPart, kMost);
}

}  // namespace

/// All that may go makes room, in the end; for the sake of the disk no more than down to the floor. But that
/// takes a while, and what is expected may be wrong: cores of which nothing can be compressed leave half of
/// what has to stay free all the same.
DiskRoom RoomOf(const RetentionLimits& limits, const StoreFill& fill, std::uint64_t disk_bytes,
                std::uint64_t disk_free) {
  const std::uint64_t could_be_free = Sum(limits.disk_free, Less(fill.used, limits.floor_bytes));
  const std::uint64_t at_worst = Less(disk_free, limits.keep_free / 2);
  return {.cores = std::min({RoomBeside(fill.staying, limits), Less(could_be_free, limits.keep_free),
                             StoredEstimate(at_worst)}),
          .free = Less(disk_free, KeptForRecords(disk_bytes))};
}

void DiskBooks::Told(const DiskRoom& room) {
  room_ = room;
  for (auto next = parts_.begin(); next != parts_.end();) {
    const auto part = next++;
    if (part->second.settled) Drop(part->first);
  }
}

/// What full cores have written is not free any more, so for minimal ones only the rest of their own counts:
/// a large core under way, which has its part and is on the disk as well, must not cost others theirs.
Lowered DiskBooks::Judge(const CoreBytes& core) const {
  if (core.expected == 0) {
    const std::uint64_t left = Less(room_.free, minimal_);
    return core.most > left ? Lowered{.what = Shortage::kDisk, .has = left, .needs = core.most} : Lowered{};
  }
  const std::uint64_t cores = Less(room_.cores, sum_.expected), free = Less(room_.free, sum_.most);
  if (core.expected > cores) return {.what = Shortage::kDisk, .has = cores, .needs = core.expected};
  if (core.most > free) return {.what = Shortage::kDisk, .has = free, .needs = core.most};
  return {};
}

/// No size is believed that would make the sums overflow.
void DiskBooks::Set(std::map<Key, Part>::iterator part, const CoreBytes& core) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 48;
  CoreBytes& old = part->second.core;
  const CoreBytes now{std::min(core.expected, kMost), std::min(core.most, kMost)};
  sum_ = {sum_.expected - old.expected + now.expected, sum_.most - old.most + now.most};
  minimal_ += (now.expected == 0 ? now.most : 0) - (old.expected == 0 ? old.most : 0);
  old = now;
}

void DiskBooks::Begin(Key crash, const CoreBytes& core) { Set(parts_.try_emplace(crash).first, core); }

void DiskBooks::Ended(Key crash, std::uint64_t bytes) {
  if (const auto part = parts_.find(crash); part != parts_.end()) Set(part, {bytes, bytes});
}

void DiskBooks::Settled(Key crash) {
  if (const auto part = parts_.find(crash); part != parts_.end()) part->second.settled = true;
}

void DiskBooks::Drop(Key crash) {
  const auto part = parts_.find(crash);
  if (part == parts_.end()) return;
  Set(part, {});
  parts_.erase(part);
}

}  // namespace obit
