#include "policy/decide.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

CrashRecord RecordWithCoreLimit(std::optional<std::uint64_t> bytes) {
  CrashRecord record;
  record.process.core_limit = bytes;
  return record;
}

TEST(Decide, KeepsAFullCoreOfAnyLimitButZero) {
  // 1 has a meaning for pipe helpers of old kernels only; the size is the kernel's to honour.
  for (const std::optional<std::uint64_t> limit :
       {std::optional<std::uint64_t>(), {1}, {4096}, {UINT64_MAX}}) {
    const Decision decision = Decide(RecordWithCoreLimit(limit), {});
    EXPECT_EQ(decision.detail, Detail::kFull);
    EXPECT_EQ(decision.reason, "");
  }
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

}  // namespace
}  // namespace obit
