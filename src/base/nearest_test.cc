#include "base/nearest.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(DidYouMean, NamesTheNearest) {
  EXPECT_EQ(DidYouMean("lst", {"show", "list", "rm"}), R"(; did you mean "list"?)");
  EXPECT_EQ(DidYouMean("list", {"show", "list", "rm"}), R"(; did you mean "list"?)");
  EXPECT_EQ(DidYouMean("--lats", {"--last", "--json"}), R"(; did you mean "--last"?)");
}

TEST(DidYouMean, NamesNothingThatIsNotLikeIt) {
  EXPECT_EQ(DidYouMean("frobnicate", {"show", "list", "rm"}), "");
  EXPECT_EQ(DidYouMean("list", {}), "");
  EXPECT_EQ(DidYouMean(std::string(100'000, 'l'), {"list"}), "");
}

}  // namespace
}  // namespace obit
