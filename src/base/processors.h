#pragma once

#include <optional>

#include <sched.h>

namespace obit {

// Where threads run (sched_setaffinity(2)). All of this is for speed only: where the kernel refuses, as with
// more processors than cpu_set_t has room for, threads run as before.

/// A processor that one thread has taken for itself.
struct BusyProcessor {
  int number = 0;
  cpu_set_t all{};  ///< where that thread might run before: others may, too
};

/// Keeps the calling thread on the processor that it is on, until this object goes. Threads that it starts
/// meanwhile are kept there as well, unless they call KeepOff.
class StayOnProcessor {
 public:
  StayOnProcessor();
  ~StayOnProcessor();
  StayOnProcessor(StayOnProcessor&&) = delete;

  /// Nothing: there is only one processor, or the kernel refused.
  [[nodiscard]] const std::optional<BusyProcessor>& processor() const { return processor_; }

 private:
  std::optional<BusyProcessor> processor_;
};

/// The calling thread runs on the other processors.
void KeepOff(const BusyProcessor& busy);
}  // namespace obit
