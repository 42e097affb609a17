#include "catalog/list.h"

#include "store/test_support.h"

namespace obit {
namespace {

using testing::CommitCrash;
using testing::SampleRecord;
using testing::Succeeds;

class ListTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();
};

TEST_F(ListTest, NotesRepeatsAndPinsOfWhatIsShownAndDropsWhatIsGone) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord()), gone = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(store_.WriteRepeats(crash, {.id = crash.id, .crashes = 31, .first = 1, .last = 2}), Succeeds());
  ASSERT_THAT(store_.Pin(crash, true), Succeeds());
  auto list = ListFolders(store_);
  ASSERT_THAT(list, Succeeds());
  ASSERT_EQ(list->crashes.size(), 2u);
  ASSERT_THAT(store_.Remove(gone), Succeeds());
  DropRemoved(store_, list->crashes);
  ASSERT_EQ(list->crashes.size(), 1u);
  EXPECT_EQ(list->crashes[0].location, crash);
  EXPECT_EQ(list->crashes[0].repeats, 31u);
  EXPECT_TRUE(list->crashes[0].pinned);
}

}  // namespace
}  // namespace obit
