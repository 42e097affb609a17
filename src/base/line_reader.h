#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "base/fd.h"

namespace obit {

/// The lines of a regular file without their newlines, a piece of it at a time, in memory that is made once
/// for many files. A line that is longer than kLineMax is left out.
class LineReader {
 public:
  static constexpr std::size_t kLineMax = 64 << 10;
  using Room = std::array<char, kLineMax>;
  [[nodiscard]] static std::unique_ptr<Room> MakeRoom() { return std::make_unique_for_overwrite<Room>(); }

  /// No more than the first `max` bytes. Both outlive this object; `room` is for one at a time.
  LineReader(const Fd& file, Room& room, std::size_t max) : file_(file), room_(room), left_(max) {}

  /// Nothing: there are no more, or the file cannot be read on. What it gave before is then gone.
  [[nodiscard]] std::optional<std::string_view> Next();

 private:
  bool Fill();

  const Fd& file_;
  Room& room_;
  std::size_t left_, at_ = 0, end_ = 0;
  bool has_ended_ = false, skips_ = false;
};

}  // namespace obit
