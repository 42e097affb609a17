#include "server/descriptor_budget.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"
#include "jobs/analysis_queue.h"

namespace obit {
namespace {

static_assert(DescriptorBudget::kMappedOfClerk == AnalysisQueue::kHoldingMax);

/// What a process with this limit may have open, with so many members.
std::size_t CrashesOf(rlim_t descriptors, std::size_t members) {
  testing::Child child(::fork());
  if (child.pid() == 0) {
    const rlimit limit{descriptors, descriptors};
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) ::_exit(255);
    const DescriptorBudget budget(members);
    int open = 0;
    while (open < 255 && budget.HasRoomBeside(static_cast<std::size_t>(open), 0)) ++open;
    ::_exit(open);
  }
  return static_cast<std::size_t>(WEXITSTATUS(child.Wait()));
}

TEST(DescriptorBudget, DividesWhatOthersLeave) {
  constexpr std::size_t kMembers = 14;
  constexpr rlim_t kKept = DescriptorBudget::kOthers + kMembers * DescriptorBudget::kPerMember;
  EXPECT_EQ(CrashesOf(kKept + 10 * DescriptorBudget::kPerCrash, kMembers), 10U);
  EXPECT_EQ(CrashesOf(kKept + 10 * DescriptorBudget::kPerCrash - 1, kMembers), 9U);
}

TEST(DescriptorBudget, AlwaysHasRoomForOne) {
  EXPECT_EQ(CrashesOf(DescriptorBudget::kOthers, 0), 1U);
  EXPECT_EQ(CrashesOf(40, 1000), 1U);
}

TEST(DescriptorBudget, BagsTakeADescriptorEach) {
  const DescriptorBudget budget(0);
  EXPECT_TRUE(budget.HasRoomBeside(0, 0));
  EXPECT_FALSE(budget.HasRoomBeside(0, std::size_t{1} << 32));
}

TEST(DescriptorBudget, BagsTakeWhatIsInThemOfHalf) {
  constexpr std::size_t kBags = 10;
  testing::Child child(::fork());
  if (child.pid() == 0) {
    const rlim_t all = DescriptorBudget::kOthers + 2 * kBags * DescriptorBudget::kPerBag;
    const rlimit limit{all, all};
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) ::_exit(255);
    const DescriptorBudget budget(0);
    std::size_t bags = 0;
    while (budget.HasRoomForBag(bags)) ++bags;
    const bool right = bags == kBags && budget.HasRoomBeside(kBags, bags) && !budget.HasRoomForMapped(0);
    ::_exit(right ? 0 : 1);
  }
  EXPECT_EQ(child.Wait(), 0) << "crashes that are open have room beside bags that nobody takes";
}

TEST(DescriptorBudget, IsBoundedWhateverTheLimitIs) {
  const DescriptorBudget budget(0);
  EXPECT_FALSE(budget.HasRoomBeside(DescriptorBudget::kMost, 0));
  EXPECT_GE(budget.crashes(), 1U);
  EXPECT_LE(budget.crashes(), DescriptorBudget::kMost);
}

}  // namespace
}  // namespace obit
