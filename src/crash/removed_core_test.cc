#include "crash/removed_core.h"

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

constexpr const char* kText = R"({
  "schema": 1,
  "id": "3e55548fd543f231",
  "time": "2026-11-23T14:02:11.000000001Z",
  "bytes": 4711,
  "why": "it was older than 30 days"
}
)";

TEST(RemovedCore, ThereAndBack) {
  const auto removed = RemovedCoreFromJson(kText);
  ASSERT_THAT(removed, Succeeds());
  EXPECT_EQ(removed->id, "3e55548fd543f231");
  EXPECT_EQ(removed->bytes, 4711u);
  EXPECT_EQ(removed->why, "it was older than 30 days");
  EXPECT_EQ(RemovedCoreToJson(*removed), kText);
}

TEST(RemovedCore, RefusesWhatItDidNotWrite) {
  const auto with = [](std::string_view old, std::string_view now) {
    std::string text = kText;
    return text.replace(text.find(old), old.size(), now);
  };
  EXPECT_THAT(RemovedCoreFromJson("[]"), FailsWith(EBADMSG));
  EXPECT_THAT(RemovedCoreFromJson("{"), FailsWith(EBADMSG));
  EXPECT_THAT(RemovedCoreFromJson(with("1,", "2,")), FailsWith(EPROTONOSUPPORT));
  EXPECT_THAT(RemovedCoreFromJson(with("3e55", "../x")), FailsWith(EBADMSG));
  EXPECT_THAT(RemovedCoreFromJson(with("time", "when")), FailsWith(EBADMSG));
  EXPECT_THAT(RemovedCoreFromJson(with("4711", "-1")), FailsWith(EBADMSG));
  EXPECT_THAT(RemovedCoreFromJson(with("\"it was older than 30 days\"", "7")), FailsWith(EBADMSG));
  EXPECT_THAT(RemovedCoreFromJson(kText + std::string(kRemovedJsonMax, ' ')), FailsWith(EBADMSG));
}

}  // namespace
}  // namespace obit
