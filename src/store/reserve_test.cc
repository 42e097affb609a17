#include "store/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

class ReserveTest : public ::testing::Test {
 protected:
  /// Bytes of the disk.
  std::uint64_t Taken() {
    struct stat status{};
    EXPECT_EQ(::fstatat(store_.root().get(), kReserveFile, &status, AT_SYMLINK_NOFOLLOW), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  testing::TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  Reserve reserve_{store_};
};

TEST_F(ReserveTest, IsTakenGivenInStepsAndTakenAgain) {
  EXPECT_FALSE(reserve_.Give()) << "there is none";
  const auto filled = reserve_.Fill();
  if (!filled && filled.error().code == EOPNOTSUPP) GTEST_SKIP() << "the file system sets no room aside";
  ASSERT_THAT(filled, Succeeds());
  EXPECT_EQ(Taken(), Reserve::kBytes);
  EXPECT_TRUE(reserve_.Give());
  EXPECT_EQ(Taken(), Reserve::kBytes - Reserve::kStep);
  std::uint64_t steps = 1;
  while (reserve_.Give()) ++steps;
  EXPECT_EQ(steps, Reserve::kBytes / Reserve::kStep);
  EXPECT_EQ(Taken(), 0u);
  EXPECT_THAT(reserve_.Fill(), Succeeds());
  EXPECT_EQ(Taken(), Reserve::kBytes);
}

TEST_F(ReserveTest, IsThereForTheNextProcess) {
  if (!reserve_.Fill()) GTEST_SKIP() << "the file system sets no room aside";
  ASSERT_TRUE(reserve_.Give());
  Reserve next(store_);
  ASSERT_THAT(next.Fill(), Succeeds());
  EXPECT_EQ(Taken(), Reserve::kBytes);
}

TEST_F(ReserveTest, IsNoLinkOfSomebody) {
  ASSERT_EQ(::symlinkat("/etc/passwd", store_.root().get(), kReserveFile), 0);
  EXPECT_THAT(reserve_.Fill(), FailsWith(ELOOP));
}

}  // namespace
}  // namespace obit
