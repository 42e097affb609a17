#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "store/store.h"

namespace obit {

/// Numbers that only go up, for all processes that write to one store, over every restart: numbers/NAME says
/// how far they are taken.
///
/// A process takes a range at once, so that a number of it costs no look at the disk. As soon as another one
/// takes a range behind it, the rest of its own range would be lower than numbers that are given after: it is
/// dropped, which is why there are gaps. The file is written whole, in the place of the one before; a process
/// whose file has lost its name knows by that.
class Sequence {
 public:
  struct Options {
    std::string name;
    std::uint64_t range = 1;          ///< numbers that are taken at once
    bool survives_power_cut = false;  ///< the file is on the disk before a number of its range is given
    bool waits = true;                ///< for another process that takes numbers; else EBUSY
  };
  /// What a store says that is beyond this is not believed: there must be room to count on.
  static constexpr std::uint64_t kBelievedMax = kNumberMax / 2;
  /// So far ahead of what it knows a sequence believes a number that it did not give itself.
  static constexpr std::uint64_t kLeapMax = std::uint64_t{1} << 40;

  /// Reads how far the numbers are taken. Where that cannot be told they begin at 1, unless NotBelow says
  /// otherwise.
  Sequence(const Store& store, Options options);
  /// Why it could not be told.
  [[nodiscard]] const std::optional<Error>& lost() const { return lost_; }

  /// No number up to `number` is given any more: it was found in the store. False: it is out of all bounds,
  /// and ignored.
  [[nodiscard]] bool NotBelow(std::uint64_t number);
  /// The next number, at least 1. Fails where the file cannot be written, or is being written.
  [[nodiscard]] Result<std::uint64_t> Take();
  /// All numbers of a range at once, at most Options::range: for another process to give them.
  struct Range {
    std::uint64_t first = 0, count = 0;
  };
  [[nodiscard]] Result<Range> TakeRange();
  /// One more than the last, though nowhere is written that it is taken: better than none, for what cannot
  /// wait.
  [[nodiscard]] std::uint64_t TakeUnwritten();
  /// The same for a range.
  [[nodiscard]] Range TakeRangeUnwritten();
  /// Takes the next range, on the disk, once half of the old one is used: so that Take need not.
  [[nodiscard]] Result<void> Refill();
  /// Every number that is given was this or lower.
  [[nodiscard]] std::uint64_t last() const { return next_ - 1; }

  /// Another process has taken a range behind this one's: what is left of this one's is too low.
  [[nodiscard]] bool IsOvertaken() const;

  /// Keeps all others from taking numbers, as long as the Fd. EBUSY: another process does that.
  [[nodiscard]] Result<Fd> Lock() const;
  /// As Take, for the holder of the lock.
  [[nodiscard]] Result<std::uint64_t> TakeLocked();

 private:
  [[nodiscard]] Result<Fd> OpenFolder() const;
  [[nodiscard]] Result<std::uint64_t> Read(const Fd& folder) const;
  [[nodiscard]] Result<void> NextRange(bool sync);
  [[nodiscard]] Result<Fd> Write(const Fd& folder, std::uint64_t end, bool sync) const;
  Fd root_;
  Options options_;
  Fd file_;  ///< that this process wrote last
  std::uint64_t next_ = 1, end_ = 1;
  std::optional<Error> lost_;
};

}  // namespace obit
