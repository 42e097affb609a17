#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

#include "crash/record.h"
#include "policy/crash_sites.h"
#include "policy/lowered.h"
#include "policy/retention.h"

namespace obit {

/// What the store may still take, bytes.
struct DiskRoom {
  /// By its limits, whatever retention has to remove for it.
  std::uint64_t cores = UINT64_MAX;
  /// By what is free now, but for what is kept for records.
  std::uint64_t free = UINT64_MAX;
  bool has_records = true;  ///< there is room for records, or soon will be

  bool operator==(const DiskRoom&) const = default;
};

/// What is in a store, as far as retention knows.
struct StoreFill {
  std::uint64_t used = 0;     ///< by what may go
  std::uint64_t staying = 0;  ///< by what may not
};
/// `limits`: with what is believed to be free. `disk_bytes` and `disk_free` as the file system says.
[[nodiscard]] DiskRoom RoomOf(const RetentionLimits& limits, const StoreFill& fill, std::uint64_t disk_bytes,
                              std::uint64_t disk_free);

/// What a core may come to on the disk.
struct CoreBytes {
  std::uint64_t expected = 0;
  std::uint64_t most = 0;  ///< if nothing of it can be compressed
};
inline constexpr std::uint64_t kLeastCore = 64 << 10;  ///< with its record
/// The full core of a process with so much memory, 0: that is not known.
[[nodiscard]] constexpr CoreBytes FullCore(std::uint64_t resident) {
  return {std::max(StoredEstimate(resident), kLeastCore), std::max(resident, kLeastCore)};
}
/// A minimal one. It has some hundred KiB; only of thousands of threads it can have more than is said here.
/// The limits of the store do not count for it: what they keep free is for such.
[[nodiscard]] constexpr CoreBytes MinimalCore(std::uint64_t resident) {
  constexpr std::uint64_t kMost = 4 << 20;
  return {0, resident == 0 ? kMost : std::clamp(resident, kLeastCore, kMost)};
}

/// What is left of the room that a clerk told of: cores that began since, or are not in what it told, have
/// their part of it. Before the first word nothing is known, and there is room for all.
class DiskBooks {
 public:
  using Key = std::uint64_t;  ///< of a crash

  /// The clerk has looked. What was settled before is in that.
  void Told(const DiskRoom& room);
  [[nodiscard]] bool has_records() const { return room_.has_records; }

  /// Whether such a core has room; else why not.
  [[nodiscard]] Lowered Judge(const CoreBytes& core) const;
  /// It begins, with that for its part. Once at a time.
  void Begin(Key crash, const CoreBytes& core);
  /// It takes so many bytes now, and no more will come.
  void Ended(Key crash, std::uint64_t bytes);
  /// The clerk has done all about it: the next word counts it.
  void Settled(Key crash);
  /// It did not begin.
  void Drop(Key crash);

 private:
  struct Part {
    CoreBytes core;
    bool settled = false;
  };
  void Set(std::map<Key, Part>::iterator part, const CoreBytes& core);

  DiskRoom room_;
  std::map<Key, Part> parts_;
  CoreBytes sum_;              // of all parts
  std::uint64_t minimal_ = 0;  // the most of those that are minimal, and under way
};

}  // namespace obit
