#include "policy/lowered.h"

#include <fmt/format.h>

#include "policy/rounded.h"

namespace obit {
namespace {

double Seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }
double Percent(std::uint64_t hundredths) { return static_cast<double>(hundredths) / 100; }

std::string OfDisk(const Lowered& lowered, Detail to) {
  if (to == Detail::kMinimal)
    return fmt::format("the disk has room for {} of cores, and this one may take {}", Rounded(lowered.has),
                       Rounded(lowered.needs));
  return fmt::format("the disk has room for {} of cores, and even a minimal one may take {}",
                     Rounded(lowered.has), Rounded(lowered.needs));
}

std::string OfQueue(const Lowered& lowered) {
  if (lowered.needs == 0)
    return fmt::format("it waited for a worker for {:.1f} s, and more crashes of its user wait",
                       Seconds(lowered.has));
  return fmt::format("full cores of the crashes of its user that wait would take {:.1f} s",
                     Seconds(lowered.needs));
}

std::string OfMemory(const Lowered& lowered) {
  if (lowered.needs == 0) return fmt::format("memory was short: {} were available", Rounded(lowered.has));
  return fmt::format(
      "memory was short: somebody waited for it {:.1f}% of the time (load.memory_pressure is {:.0f})",
      Percent(lowered.has), Percent(lowered.needs));
}

}  // namespace

std::string Describe(const Lowered& lowered, Detail to) {
  switch (lowered.what) {
    case Shortage::kNone:
      return "";
    case Shortage::kDisk:
      return OfDisk(lowered, to);
    case Shortage::kQueue:
      return OfQueue(lowered);
    case Shortage::kMemory:
      return OfMemory(lowered);
  }
  return "";
}

}  // namespace obit
