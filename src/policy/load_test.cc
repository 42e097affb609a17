#include "policy/load.h"

#include <gmock/gmock.h>

namespace obit {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
constexpr std::int64_t kSecond = 1'000'000'000;

TEST(JudgeMemory, IsShortFromTheConfiguredPressureOn) {
  Config config;
  config.memory_pressure = 20;
  EXPECT_FALSE(JudgeMemory({.pressure = 1999, .total = kGiB, .available = 1}, config))
      << "little is available, but nobody waits for it";
  const Lowered lowered = JudgeMemory({.pressure = 2000}, config);
  EXPECT_EQ(lowered, (Lowered{Shortage::kMemory, 2000, 2000}));
  EXPECT_FALSE(JudgeMemory({.pressure = 10'000, .total = 10 * kGiB, .available = 2 * kGiB}, config))
      << "somebody waits within his own limits";
  EXPECT_TRUE(JudgeMemory({.pressure = 10'000, .total = 10 * kGiB, .available = 2 * kGiB - 1}, config));
  config.memory_pressure = 0;
  EXPECT_FALSE(JudgeMemory({.pressure = 10'000}, config));
}

TEST(JudgeMemory, WithoutPressureByWhatIsAvailable) {
  const Config config;
  EXPECT_FALSE(JudgeMemory({}, config)) << "nothing is known";
  EXPECT_FALSE(JudgeMemory({.total = 20 * kGiB, .available = kGiB}, config));
  EXPECT_EQ(JudgeMemory({.total = 20 * kGiB, .available = kGiB - 1}, config),
            (Lowered{Shortage::kMemory, kGiB - 1, 0}));
}

TEST(CapturePace, IsOfTheLastCaptures) {
  CapturePace pace;
  EXPECT_EQ(pace.TimeFor(kGiB, 1), 0u) << "not known";
  pace.Captured(kMiB, kSecond);
  EXPECT_EQ(pace.TimeFor(kGiB, 1), 0u) << "so little memory tells nothing";
  pace.Captured(kGiB, kSecond);
  EXPECT_EQ(pace.TimeFor(3 * kGiB, 1), 3u * kSecond);
  EXPECT_EQ(pace.TimeFor(3 * kGiB, 3), 1u * kSecond);
  EXPECT_EQ(pace.TimeFor(3 * kGiB, 0), 3u * kSecond);
  for (int i = 0; i < 30; ++i) pace.Captured(kGiB, 2 * kSecond);
  EXPECT_NEAR(static_cast<double>(pace.TimeFor(kGiB, 1)), 2e9, 1e7) << "it is slower now";
  pace.Captured(kGiB, 0);
  EXPECT_GT(pace.TimeFor(kGiB, 1), 0u);
  EXPECT_LE(pace.TimeFor(UINT64_MAX, 1), 1'000'000'000'000'000u);
}

TEST(JudgeQueue, LowersWhoseQueueTakesTooLong) {
  CapturePace pace;
  pace.Captured(kGiB, kSecond);
  WaitingCrashes waiting{.others = true, .resident = 10 * kGiB};
  EXPECT_FALSE(JudgeQueue(waiting, pace, 5, 2 * kSecond));
  EXPECT_EQ(JudgeQueue(waiting, pace, 4, 2 * kSecond),
            (Lowered{Shortage::kQueue, 0, std::uint64_t{2'500'000'000}}));
  waiting.others = false;
  EXPECT_FALSE(JudgeQueue(waiting, pace, 1, 2 * kSecond)) << "nobody is behind it";
}

TEST(JudgeQueue, LowersWhatWaitedLongBeforeOthers) {
  const CapturePace pace;
  WaitingCrashes waiting{.waited = kSecond, .others = true, .resident = kMiB};
  EXPECT_FALSE(JudgeQueue(waiting, pace, 1, 2 * kSecond));
  ++waiting.waited;
  EXPECT_EQ(JudgeQueue(waiting, pace, 1, 2 * kSecond), (Lowered{Shortage::kQueue, kSecond + 1, 0}));
  waiting.others = false;
  EXPECT_FALSE(JudgeQueue(waiting, pace, 1, 2 * kSecond));
}

TEST(Describe, SaysWhatWasShort) {
  EXPECT_EQ(Describe({}, Detail::kFull), "");
  const Lowered disk{Shortage::kDisk, 1288490189, 2 * kGiB};
  EXPECT_EQ(Describe(disk, Detail::kMinimal),
            "the disk has room for 1.2 GiB of cores, and this one may take 2.0 GiB");
  EXPECT_EQ(Describe({Shortage::kDisk, 12 << 10, 8 * kMiB}, Detail::kEvent),
            "the disk has room for 12 KiB of cores, and even a minimal one may take 8 MiB");
  EXPECT_EQ(Describe({Shortage::kQueue, 1'300'000'000, 0}, Detail::kMinimal),
            "it waited for a worker for 1.3 s, and more crashes of its user wait");
  EXPECT_EQ(Describe({Shortage::kQueue, 0, 7'000'000'000}, Detail::kMinimal),
            "full cores of the crashes of its user that wait would take 7.0 s");
  EXPECT_EQ(Describe({Shortage::kMemory, 4567, 2000}, Detail::kMinimal),
            "memory was short: somebody waited for it 45.7% of the time (load.memory_pressure is 20)");
  EXPECT_EQ(Describe({Shortage::kMemory, 300 * kMiB, 0}, Detail::kMinimal),
            "memory was short: 300 MiB were available");
}

}  // namespace
}  // namespace obit
