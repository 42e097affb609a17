// Lists where who makes them cannot read all there is.

#include <algorithm>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/test_failing_calls.h"
#include "catalog/index.h"
#include "catalog/list.h"
#include "catalog/regroup.h"
#include "crash/commit_mark.h"
#include "store/test_disk_calls.h"
#include "store/test_hostile.h"

namespace obit {
namespace {

using testing::CanAs;
using testing::CommitCrash;
using testing::kSomeTime;
using testing::kUser;
using testing::MountOver;
using testing::SampleRecord;
using testing::SampleReport;
using testing::Succeeds;
using testing::WhereCallsFail;

/// A store of user kUser, as root and that user see it; days that are long past.
class PartialListTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    known_ = CommitCrash(store_, SampleRecord());
    CrashRecord record = SampleRecord(kSomeTime + 1);
    record.number = 7;
    copied_ = CommitCrash(store_, record);
    ASSERT_THAT(store_.WriteReport(copied_, SampleReport(copied_.id), {}), Succeeds());
    GiveAll();
    Settle();
  }

  /// One crash is root's, as tar(1) brings it, or of the obit of another host; all else is the user's.
  void GiveAll() const {
    const auto give = [](const std::string& path, uid_t user) {
      ASSERT_EQ(::lchown(path.c_str(), user, user), 0);
      for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
        ASSERT_EQ(::lchown(entry.path().c_str(), user, user), 0);
    };
    give(store_.path(), kUser);
    give(store_.PathOf(copied_), 0);
    ASSERT_EQ(::chmod(store_.PathOf(copied_).c_str(), 0750), 0);
  }

  /// The day looks as if it had changed another time, long ago.
  void Settle() {
    const std::string day = store_.path() + "/crashes/" + known_.day;
    const timespec times[] = {{0, UTIME_OMIT}, {++settled_, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, day.c_str(), times, 0), 0);
  }

  /// (crashes, causes, hidden, partial) of a list; all 9 where there is none.
  using Counts = std::array<std::size_t, 4>;
  static Counts CountsOf(const Result<CrashList>& list) {
    if (!list) return {9, 9, 9, 9};
    const auto causes = std::ranges::count_if(list->crashes, [](const auto& c) { return !c.cause.empty(); });
    return {list->crashes.size(), static_cast<std::size_t>(causes), list->hidden, list->partial.size()};
  }
  /// The store is opened anew: mounts are seen from there.
  [[nodiscard]] Counts ListOf(bool anew = false) const {
    const auto store = Store::Open(store_.path());
    auto index = Index::Open(*store);
    return CountsOf(!index ? std::unexpected(index.error())
                    : anew ? index->Rebuild(*store)
                           : index->List(*store));
  }
  [[nodiscard]] bool UserLists(const Counts& expected) const {
    return CanAs(kUser, [&] { return ListOf() == expected; });
  }

  /// From here on nobody in this process can read files of that name, EIO.
  static bool FailReads(std::string_view name) {
    testing::disk.unread = name;
    return true;
  }

  testing::TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  CrashLocation known_, copied_;
  time_t settled_ = 1'700'000'000;
};

TEST_F(PartialListTest, WhatOneMayNotReadIsHiddenUntilAnotherReadsIt) {
  EXPECT_TRUE(UserLists({1, 0, 1, 0}));
  EXPECT_TRUE(UserLists({1, 0, 1, 0})) << "each time";
  EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
  EXPECT_TRUE(UserLists({2, 1, 0, 0})) << "it is a row";
}

TEST_F(PartialListTest, WhoMayNotReadTakesNothingAway) {
  EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
  for (int i = 0; i < 2; ++i) {
    Settle();
    EXPECT_TRUE(CanAs(kUser, [&] { return Index::Open(store_)->Update(store_).has_value(); }));
    EXPECT_TRUE(
        CanAs(kUser, [&] { return Index::Open(store_)->Add(store_, std::span(&copied_, 1)).has_value(); }));
    EXPECT_TRUE(CanAs(kUser, [&] { return Index::Open(store_)->Refresh(store_, copied_.day).has_value(); }));
    EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
  }
  // A report that he cannot see either.
  Report report = SampleReport(copied_.id);
  report.cause = {};
  ASSERT_THAT(store_.WriteReport(copied_, report, {}), Succeeds());
  Settle();
  EXPECT_TRUE(UserLists({2, 1, 0, 0}));
  EXPECT_EQ(ListOf(), (Counts{2, 0, 0, 0}));
}

TEST_F(PartialListTest, AReportThatOneMayNotReadIsReadByAnother) {
  ASSERT_EQ(::chmod(store_.PathOf(copied_).c_str(), 0755), 0);
  ASSERT_EQ(::chmod((store_.PathOf(copied_) + "/" + kRecordFile).c_str(), 0644), 0);
  EXPECT_TRUE(UserLists({2, 0, 0, 0}));
  EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
}

TEST_F(PartialListTest, AnErrorOfAMomentIsToldAndNotKept) {
  const auto fails = [&] { return FailReads(kReportFile); };
  EXPECT_TRUE(WhereCallsFail(fails, [&] { return ListOf() == Counts{2, 0, 0, 1}; }));
  EXPECT_TRUE(WhereCallsFail(
      fails, [&] { return CountsOf(ListFolders(*Store::Open(store_.path()))) == Counts{2, 0, 0, 1}; }));
  EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
  EXPECT_TRUE(WhereCallsFail(fails, [&] { return ListOf() == Counts{2, 1, 0, 0}; })) << "the day is settled";
  EXPECT_TRUE(WhereCallsFail(fails, [&] { return ListOf(true) == Counts{2, 0, 0, 1}; }));
  EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
}

TEST_F(PartialListTest, ARowStaysAsItIsMeanwhile) {
  EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
  ASSERT_THAT(store_.WriteReport(copied_, SampleReport(copied_.id), {}), Succeeds());
  Settle();
  const auto fails = [&] { return FailReads(kReportFile); };
  EXPECT_TRUE(WhereCallsFail(fails, [&] { return ListOf() == Counts{2, 1, 0, 1}; }));
  EXPECT_EQ(ListOf(), (Counts{2, 1, 0, 0}));
}

TEST_F(PartialListTest, ACommitNumberThatCouldNotBeReadIsReadAgain) {
  ASSERT_THAT(store_.WriteCommitNumber(copied_, 5), Succeeds());
  ASSERT_EQ(::unlink((store_.PathOf(copied_) + "/" + kReportFile).c_str()),
            0);  // nothing else tells it from a row
  Settle();
  const auto fails = [&] { return FailReads(kCommitFile); };
  EXPECT_TRUE(WhereCallsFail(fails, [&] { return ListOf() == Counts{2, 0, 0, 1}; }));
  EXPECT_EQ(Index::Open(store_)->List(store_)->crashes.back().commit_number, 5u);
  EXPECT_TRUE(Index::Open(store_)->Unnumbered()->empty());
}

TEST_F(PartialListTest, ADayThatCannotBeListedHidesNoOther) {
  CrashRecord record = SampleRecord(kSomeTime + 10 * 86'400'000'000'000);
  record.number = 8;
  const CrashLocation later = CommitCrash(store_, record);
  ASSERT_NE(later.day, known_.day);
  GiveAll();
  const std::string closed = store_.path() + "/crashes/" + known_.day;
  ASSERT_EQ(::lchown(closed.c_str(), 0, 0), 0);  // as root restores it
  ASSERT_EQ(::chmod(closed.c_str(), 0700), 0);
  const auto sees = [&](const Result<CrashList>& list, std::size_t crashes) {
    return list && list->crashes.size() == crashes && list->crashes.back().location == later &&
           list->unreadable.size() == 1 && list->unreadable.front().day == known_.day &&
           list->unreadable.front().why.code == EACCES;
  };
  EXPECT_TRUE(CanAs(kUser, [&] { return sees(ListFolders(store_), 1); }));
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(CanAs(kUser, [&] { return sees(Index::Open(store_)->List(store_), 1); })) << "each time";
  EXPECT_TRUE(CanAs(kUser, [&] {
    const auto refreshed = Index::Open(store_)->Refresh(store_, known_.day);
    return !refreshed && refreshed.error().code == EACCES;
  }));
  EXPECT_TRUE(CanAs(kUser, [&] { return Regroup(store_).has_value(); }));
  EXPECT_EQ(ListOf(), (Counts{3, 1, 0, 0}));
  Settle();
  EXPECT_TRUE(CanAs(kUser, [&] { return sees(Index::Open(store_)->List(store_), 3); })) << "its rows stay";
}

TEST_F(PartialListTest, AReportUnderAMountIsNone) {
  const auto mounted = [&] { return MountOver(store_.PathOf(copied_) + "/" + kReportFile); };
  EXPECT_TRUE(WhereCallsFail(mounted, [&] { return ListOf() == Counts{2, 0, 0, 0}; }))
      << "no list waits for it";
}

}  // namespace
}  // namespace obit
