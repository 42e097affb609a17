#include "crash/commit_mark.h"

#include "base/test_support.h"
#include "crash/record.h"

namespace obit {
namespace {

using testing::FailsWith;

constexpr const char* kId = "3f9c2a7100000001";

TEST(CommitMark, IsReadAsItWasWritten) {
  const auto mark = CommitFromJson(CommitToJson({.id = kId, .number = kNumberMax}));
  ASSERT_TRUE(mark) << mark.error().what;
  EXPECT_EQ(mark->id, kId);
  EXPECT_EQ(mark->number, kNumberMax);
}

TEST(CommitMark, RefusesWhatIsNoNumberOfAStore) {
  for (const char* number :
       {"0", "-1", "4503599627370497", "18446744073709551615", "1e300", "\"17\"", "null"})
    EXPECT_THAT(CommitFromJson(fmt::format(R"({{"schema": 1, "id": "{}", "number": {}}})", kId, number)),
                FailsWith(EBADMSG))
        << number;
  EXPECT_THAT(CommitFromJson(""), FailsWith(EBADMSG));
  EXPECT_THAT(CommitFromJson(R"({"schema": 2, "id": "3f9c2a7100000001", "number": 1})"),
              FailsWith(EPROTONOSUPPORT));
}

}  // namespace
}  // namespace obit
