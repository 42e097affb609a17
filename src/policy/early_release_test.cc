#include "policy/early_release.h"

#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace obit {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

MemoryToKeep Usual() {
  return {.refused = {},
          .bytes = 800 * kMiB,
          .mapped = 2 * kGiB,
          .has_minimal = true,
          .tied = {},
          .kept = 0,
          .total = 16 * kGiB,
          .available = 10 * kGiB,
          .room_in_cgroup = UINT64_MAX,
          .room_to_commit = UINT64_MAX};
}

struct Case {
  std::function<void(MemoryToKeep&)> change;
  std::string why;
};

TEST(DecideEarlyRelease, KeepsMemoryThatThereIsRoomForTwice) {
  const EarlyRelease decided = DecideEarlyRelease(Usual());
  EXPECT_TRUE(decided.keep);
  EXPECT_EQ(decided.reason, "there is room for its 800 MiB twice");
}

TEST(DecideEarlyRelease, HoldsWithEachReason) {
  const Case cases[] = {
      {[](auto& memory) { memory.refused = "the configuration says so"; }, "the configuration says so"},
      {[](auto& memory) { memory.bytes = kKeptMin - 1; }, "only 32 MiB of memory"},
      {[](auto& memory) { memory.has_minimal = false; }, "no minimal core"},
      {[](auto& memory) { memory.tied = "/run/lock is locked"; }, "/run/lock is locked"},
      {[](auto& memory) { memory.total = memory.available = 0; }, "not known"},
      {[](auto& memory) { memory.available = kGiB; }, "0 KiB of the host's"},
      {[](auto& memory) { memory.bytes = 9 * kGiB; }, "9.0 GiB of memory, and 8.4 GiB of the host's"},
      {[](auto& memory) { memory.kept = 8 * kGiB; }, "of which 8.0 GiB may be wanted"},
      {[](auto& memory) { memory.room_in_cgroup.reset(); }, "limits of its memory are not known"},
      {[](auto& memory) { memory.room_in_cgroup = 100 * kMiB; }, "its cgroup may take only 100 MiB more"},
      {[](auto& memory) { memory.room_to_commit.reset(); }, "limits of its memory are not known"},
      {[](auto& memory) { memory.room_to_commit = kGiB; }, "the commit limit leaves only 1.0 GiB"},
  };
  for (const Case& one : cases) {
    MemoryToKeep memory = Usual();
    one.change(memory);
    const EarlyRelease decided = DecideEarlyRelease(memory);
    EXPECT_FALSE(decided.keep) << one.why;
    EXPECT_THAT(decided.reason, HasSubstr(one.why));
  }
}

TEST(DecideEarlyRelease, KeptMemoryMayNotBeMoreThanItCanCount) {
  MemoryToKeep memory = Usual();
  memory.kept = UINT64_MAX;
  EXPECT_FALSE(DecideEarlyRelease(memory).keep);
}

}  // namespace
}  // namespace obit
