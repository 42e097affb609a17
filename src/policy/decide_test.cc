#include "policy/decide.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace obit {
namespace {

CrashRecord RecordWithCoreLimit(std::optional<std::uint64_t> bytes) {
  CrashRecord record;
  record.process.core_limit = bytes;
  return record;
}

TEST(Decide, KeepsAsMuchAsTheLimitSays) {
  for (const std::uint64_t limit :
       {std::uint64_t{4096}, std::uint64_t{4097}, std::uint64_t{1} << 30, UINT64_MAX}) {
    const Decision decision = Decide(RecordWithCoreLimit(limit), {});
    EXPECT_EQ(decision.detail, Detail::kFull);
    EXPECT_EQ(decision.reason, "");
    EXPECT_EQ(decision.core_max, limit);
  }
  EXPECT_EQ(Decide(RecordWithCoreLimit({}), {}).core_max, UINT64_MAX) << "it is not known";
}

TEST(Decide, KeepsTheDetailThatIsConfigured) {
  const Config config{.detail = Detail::kMinimal};
  for (const std::uint64_t limit : {std::uint64_t{4096}, std::uint64_t{1} << 30, UINT64_MAX}) {
    const Decision decision = Decide(RecordWithCoreLimit(limit), config);
    EXPECT_EQ(decision.detail, Detail::kMinimal);
    EXPECT_EQ(decision.core_max, limit);
  }
  EXPECT_EQ(Decide(RecordWithCoreLimit(0), config).detail, Detail::kEvent) << "it asked for none";
  EXPECT_EQ(
      Decide(RecordWithCoreLimit(0), {.detail = Detail::kMinimal, .no_core_limit = Detail::kFull}).detail,
      Detail::kMinimal);
  EXPECT_EQ(Decide(RecordWithCoreLimit(0), {.no_core_limit = Detail::kMinimal}).detail, Detail::kMinimal);
}

TEST(Decide, ALimitBelowAPageIsAsZero) {
  for (const std::uint64_t limit : {1, 100, 4095}) {
    const Decision decision = Decide(RecordWithCoreLimit(limit), {});
    EXPECT_EQ(decision.detail, Detail::kEvent);
    EXPECT_EQ(decision.reason, fmt::format("RLIMIT_CORE is {} byte{}: less than a page is no core", limit,
                                           limit == 1 ? "" : "s"));
    EXPECT_EQ(Decide(RecordWithCoreLimit(limit), {.no_core_limit = Detail::kReject}).detail, Detail::kReject);
    const Decision full = Decide(RecordWithCoreLimit(limit), {.no_core_limit = Detail::kFull});
    EXPECT_EQ(full.detail, Detail::kFull);
    EXPECT_EQ(full.core_max, UINT64_MAX);
  }
}

TEST(Decide, IgnoresEveryLimitButZeroIfConfigured) {
  for (const std::uint64_t limit : {1, 100, 4096}) {
    const Decision decision = Decide(RecordWithCoreLimit(limit), {.respect_core_limit = false});
    EXPECT_EQ(decision.detail, Detail::kFull);
    EXPECT_EQ(decision.core_max, UINT64_MAX);
  }
  EXPECT_EQ(Decide(RecordWithCoreLimit(0), {.respect_core_limit = false}).detail, Detail::kEvent);
}

TEST(Decide, KeepsOnlyTheEventOfAProcessThatAskedForNoCore) {
  const Decision decision = Decide(RecordWithCoreLimit(0), {});
  EXPECT_EQ(decision.detail, Detail::kEvent);
  EXPECT_NE(decision.reason.find("RLIMIT_CORE 0"), std::string::npos);
}

TEST(Decide, DoesAsConfiguredForAProcessThatAskedForNoCore) {
  EXPECT_EQ(Decide(RecordWithCoreLimit(0), {.no_core_limit = Detail::kReject}).detail, Detail::kReject);
  const Decision full = Decide(RecordWithCoreLimit(0), {.no_core_limit = Detail::kFull});
  EXPECT_EQ(full.detail, Detail::kFull);
  EXPECT_EQ(full.reason, "") << "nothing is less than everything";
}

TEST(Decide, IsOnlyEverLowered) {
  Decision decision{.core_max = 5};
  Lower(decision, Detail::kFull, "a");
  EXPECT_EQ(decision.reason, "");
  Lower(decision, Detail::kEvent, "b");
  EXPECT_EQ(decision.detail, Detail::kEvent);
  Lower(decision, Detail::kEvent, "c");
  Lower(decision, Detail::kMinimal, "d");
  EXPECT_EQ(decision.detail, Detail::kEvent);
  EXPECT_EQ(decision.reason, "b");
  EXPECT_EQ(decision.core_max, 5u);
}

}  // namespace
}  // namespace obit
