// Every order of events that a seed can make, against the rules of manager.h. OBIT_SCHEDULES says how many
// seeds, from OBIT_FIRST on; OBIT_SEED replays one of them and tells what happened.

#include <gtest/gtest.h>

#include "manager/test_simulator.h"

namespace obit {
namespace {

using testing::FromEnvironment;

/// What went wrong, and how it came to that.
void Replay(std::uint64_t seed) {
  testing::Simulation simulation(seed, true);
  const std::string wrong = simulation.Run();
  std::fputs(simulation.story().c_str(), stderr);
  EXPECT_EQ(wrong, "") << "OBIT_SEED=" << seed;
}

TEST(Manager, KeepsItsRulesWhateverHappens) {
  if (const auto seed = FromEnvironment("OBIT_SEED")) return Replay(*seed);
#ifdef NDEBUG
  constexpr std::uint64_t kSchedules = 100'000;
#else
  constexpr std::uint64_t kSchedules = 10'000;
#endif
  const std::uint64_t schedules = FromEnvironment("OBIT_SCHEDULES").value_or(kSchedules);
  const std::uint64_t first = FromEnvironment("OBIT_FIRST").value_or(1);
  for (std::uint64_t seed = first; seed < first + schedules; ++seed)
    if (!testing::Simulation(seed).Run().empty()) return Replay(seed);
}

}  // namespace
}  // namespace obit
