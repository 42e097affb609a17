#pragma once

#include <cstdint>
#include <string>

namespace obit {

/// A line on standard error that tells how far something is, if it takes longer than a second and standard
/// error is a terminal. The line is wiped at the end: nothing is left on the screen.
class Progress {
 public:
  /// "unpacking core.zst": what is going on.
  explicit Progress(std::string what);
  ~Progress();
  Progress(Progress&&) = delete;

  /// `done` of `total` bytes. Cheap: the line is drawn ten times a second at most.
  void Update(std::uint64_t done, std::uint64_t total);

 private:
  std::string what_;
  bool enabled_;
  bool drawn_ = false;
  std::int64_t started_, next_;  // CLOCK_MONOTONIC, ns
};

/// The line itself, at most `width` cells: "unpacking core.zst  [#####     ]  52 %  540 MiB of 1.0 GiB, 3 s
/// left".
[[nodiscard]] std::string ProgressLine(const std::string& what, std::uint64_t done, std::uint64_t total,
                                       double elapsed_seconds, std::size_t width);

}  // namespace obit
