#include "analyze/runtime_scene.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(FitsFormat, TakesWhatTheFormatGives) {
  EXPECT_TRUE(FitsFormat("cannot load %s", "cannot load theme.css"));
  EXPECT_TRUE(FitsFormat("%s: %d of %-5lu", "jam: 3 of 12   "));
  EXPECT_TRUE(FitsFormat("done", "done"));
  EXPECT_TRUE(FitsFormat("%d.", "4711."));
}

TEST(FitsFormat, RefusesAnythingElse) {
  EXPECT_FALSE(FitsFormat("cannot load %s", "cannot save theme.css"));
  EXPECT_FALSE(FitsFormat("cannot load %s", "I cannot load theme.css"));
  EXPECT_FALSE(FitsFormat("%d left", "3 left over"));
  EXPECT_FALSE(FitsFormat("done", "done."));
  EXPECT_FALSE(FitsFormat("%", "anything")) << "no conversion";
  EXPECT_FALSE(FitsFormat("", "anything"));
}

TEST(LineWith, IsTheLineBetweenBytesThatAreNoText) {
  using namespace std::string_view_literals;
  EXPECT_EQ(LineWith("\x01\x02shop.cc:3: Assertion 'a' failed.\n\0rest"sv, "Assertion"),
            "shop.cc:3: Assertion 'a' failed.");
  EXPECT_EQ(LineWith("nothing\0"sv, "Assertion"), "");
  EXPECT_EQ(LineWith("cut off: Assertion"sv, "Assertion"), "") << "nobody knows how it goes on";
}

TEST(LineWith, RefusesWhatIsNoUtf8AndWhatIsTooLong) {
  using namespace std::string_view_literals;
  EXPECT_EQ(LineWith("\xff\xfe Assertion\0"sv, "Assertion"), "");
  const std::string longer = std::string(RuntimeScene::kTextMax, 'a') + "Assertion" + std::string(1, '\0');
  EXPECT_EQ(LineWith(longer, "Assertion"), "");
}

TEST(Between, WantsBoth) {
  EXPECT_EQ(Between("Check a > b failed: no", "Check ", " failed: "), "a > b");
  EXPECT_EQ(Between("Check a > b", "Check ", " failed: "), "");
  EXPECT_EQ(Between("a > b failed: no", "Check ", " failed: "), "");
}

}  // namespace
}  // namespace obit
