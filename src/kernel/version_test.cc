#include "kernel/version.h"

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;

TEST(ParseKernelVersion, ReadsTheFirstTwoNumbers) {
  EXPECT_EQ(ParseKernelVersion("6.18.44-fc-v782").value(), (KernelVersion{6, 18}));
  EXPECT_EQ(ParseKernelVersion("6.1.0-40-amd64").value(), (KernelVersion{6, 1}));
  EXPECT_EQ(ParseKernelVersion("7.0").value(), (KernelVersion{7, 0}));
  EXPECT_EQ(ParseKernelVersion("6.17-rc3").value(), (KernelVersion{6, 17}));
}

TEST(ParseKernelVersion, RefusesEverythingElse) {
  for (const char* release :
       {"", "6", "6.", "6.x", "x.6", ".6", "-6.1", "Linux 6.1", "99999999999.1", "6.99999999999"})
    EXPECT_THAT(ParseKernelVersion(release), FailsWith(EBADMSG)) << release;
}

TEST(ParseKernelVersion, LooksNoFurtherThanTheText) {
  EXPECT_THAT(ParseKernelVersion(std::string_view("6.18").substr(0, 1)), FailsWith(EBADMSG));
  EXPECT_EQ(ParseKernelVersion(std::string_view("6.18").substr(0, 3)).value(), (KernelVersion{6, 1}));
}

TEST(KernelVersion, ComparesByNumberAndNotByText) {
  EXPECT_LT((KernelVersion{6, 9}), kFirstWithSocket);
  EXPECT_LT(kFirstWithSocket, kFirstWithSocketRequest);
  EXPECT_GT((KernelVersion{7, 0}), kFirstWithSocketRequest);
}

TEST(KernelRelease, IsOneThatCanBeParsed) {
  EXPECT_TRUE(ParseKernelVersion(KernelRelease())) << KernelRelease();
}

}  // namespace
}  // namespace obit
