#include "crash/environment.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(IsKept, ByItsNameOnly) {
  EXPECT_TRUE(IsKept("PATH=/usr/bin", EnvironmentKept::kAllowList));
  EXPECT_TRUE(IsKept("LC_ALL=C", EnvironmentKept::kAllowList));
  EXPECT_FALSE(IsKept("AWS_SECRET_ACCESS_KEY=PATH", EnvironmentKept::kAllowList));
  EXPECT_FALSE(IsKept("PATHS=x", EnvironmentKept::kAllowList));
  EXPECT_FALSE(IsKept("no equals sign", EnvironmentKept::kAllowList));
  EXPECT_TRUE(IsKept("AWS_SECRET_ACCESS_KEY=x", EnvironmentKept::kAll));
  EXPECT_FALSE(IsKept("PATH=x", EnvironmentKept::kNone));
}

TEST(EnvironmentKept, HasNames) {
  for (const auto kept : {EnvironmentKept::kNone, EnvironmentKept::kAllowList, EnvironmentKept::kAll})
    EXPECT_EQ(EnvironmentKeptNamed(NameOf(kept)), kept);
  EXPECT_FALSE(EnvironmentKeptNamed("some"));
}

}  // namespace
}  // namespace obit
