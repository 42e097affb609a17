#include "crash/repeats.h"

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

constexpr const char* kText = R"({
  "schema": 1,
  "id": "3e55548fd543f231",
  "crashes": 31,
  "first": "2026-11-23T14:02:11.000000001Z",
  "last": "2026-11-23T14:05:00.000000000Z"
}
)";

TEST(Repeats, ThereAndBack) {
  const auto repeats = RepeatsFromJson(kText);
  ASSERT_THAT(repeats, Succeeds());
  EXPECT_EQ(repeats->id, "3e55548fd543f231");
  EXPECT_EQ(repeats->crashes, 31u);
  EXPECT_EQ(repeats->last - repeats->first, 168'999'999'999);
  EXPECT_EQ(RepeatsToJson(*repeats), kText);
}

TEST(Repeats, RefusesWhatItDidNotWrite) {
  const auto with = [](std::string_view old, std::string_view now) {
    std::string text = kText;
    return text.replace(text.find(old), old.size(), now);
  };
  EXPECT_THAT(RepeatsFromJson("[]"), FailsWith(EBADMSG));
  EXPECT_THAT(RepeatsFromJson("{"), FailsWith(EBADMSG));
  EXPECT_THAT(RepeatsFromJson(with("1,", "2,")), FailsWith(EPROTONOSUPPORT));
  EXPECT_THAT(RepeatsFromJson(with("3e55", "../x")), FailsWith(EBADMSG));
  EXPECT_THAT(RepeatsFromJson(with("crashes\": 31", "crashes\": 0")), FailsWith(EBADMSG));
  EXPECT_THAT(RepeatsFromJson(with("crashes\": 31", "crashes\": -1")), FailsWith(EBADMSG));
  EXPECT_THAT(RepeatsFromJson(with("2026-11-23T14:02", "yesterday")), FailsWith(EBADMSG));
  EXPECT_THAT(RepeatsFromJson(with("first", "begin")), FailsWith(EBADMSG));
  EXPECT_THAT(RepeatsFromJson(kText + std::string(kRepeatsJsonMax, ' ')), FailsWith(EBADMSG));
}

}  // namespace
}  // namespace obit
