#include "server/clerk_retention.h"

#include <fstream>
#include <map>
#include <memory>

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/test_clerk.h"

namespace obit {
namespace {

using testing::kOneDay;
using testing::kSomeTime;

class ClerkRetentionTest : public testing::ClerkStoreTest {
 protected:
  ClerkRetentionTest() {
    config_.retention_size = {.bytes = std::uint64_t{1} << 40};
    config_.retention_free = {};
    config_.retention_core_days = config_.retention_record_days = 0;
  }

  /// A crash with a core of so many bytes, of which none takes room.
  CrashLocation Crash(std::uint64_t bytes, int days_ago = 0, uid_t uid = 1000) {
    CrashRecord record = testing::SampleRecord(kSomeTime - days_ago * kOneDay);
    record.number = ++number_;
    record.files.core = kCoreFile;
    record.capture.stored_bytes = bytes;
    record.process.comm = "of group " + std::to_string(number_);
    record.process.exe.clear();
    record.process.uid = uid;
    const CrashLocation crash = testing::CommitCrash(store_, record);
    const std::string core = store_.PathOf(crash) + "/" + kCoreFile;
    std::ofstream(core) << "core";
    EXPECT_EQ(::truncate(core.c_str(), static_cast<off_t>(bytes)), 0);
    index_.Add(std::span(&crash, 1));
    Arrives(crash, record.time);
    return crash;
  }
  void Arrives(const CrashLocation& crash, std::int64_t time) const {
    const timespec at{time / 1'000'000'000, time % 1'000'000'000}, times[] = {at, at};
    for (const char* name : {kRecordFile, kCommitFile})
      (void)::utimensat(AT_FDCWD, (store_.PathOf(crash) + "/" + name).c_str(), times, 0);
  }
  void Damage(const CrashLocation& crash) const {
    ASSERT_THAT(WriteAllAt(*Open(store_.PathOf(crash) + "/" + kRecordFile, O_WRONLY),
                           std::as_bytes(std::span("?", 1)), 0),
                testing::Succeeds());
  }
  /// As obit reindex: what an index has known of damaged records is lost.
  void Reindex() const { ASSERT_THAT(Index::Open(store_)->Rebuild(store_), testing::Succeeds()); }
  /// Looks, and waits until all is done that is to be done.
  ClerkRetention& Retention() {
    if (!retention_) {
      retention_ = std::make_unique<ClerkRetention>(
          loop_, store_, index_, config_,
          ClerkRetention::Handler{.removed = [this](RetentionReason why, bool whole,
                                                    std::uint64_t) { ++removed_[{NameOf(why), whole}]; },
                                  .left = [this] { ++left_; }},
          RetentionSenses{[this] { return realtime_; }, [this] { return boottime_; },
                          [this](const Fd&) -> Result<DiskSpace> { return disk_; },
                          UserRanges("alice:100000:65536\n")});
    }
    return *retention_;
  }
  [[nodiscard]] bool HasCore(const CrashLocation& crash) const {
    return store_.IsCoreRemoved(crash) == false && store_.PresenceOf(crash).exists;
  }

  ClerkIndex index_{loop_, store_};
  Config config_;
  std::int64_t realtime_ = kSomeTime, boottime_ = 0;
  DiskSpace disk_{.all = std::uint64_t{1} << 40, .free = std::uint64_t{1} << 30};
  std::unique_ptr<ClerkRetention> retention_;
  std::map<std::pair<std::string_view, bool>, int> removed_;
  int left_ = 0;
  std::uint64_t number_ = 0;
};

TEST_F(ClerkRetentionTest, RemovesTheOldestCoresOfAStoreThatIsTooLarge) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000), second = Crash(1'000'000), third = Crash(1'000'000);
  Retention().Look();
  RunThrough({{[&] { return !HasCore(first); }}});
  EXPECT_TRUE(HasCore(second));
  EXPECT_TRUE(HasCore(third));
  EXPECT_EQ((removed_[{"size", false}]), 1);
  EXPECT_EQ(store_.LoadRemovedCore(first)->why, "the store was larger than 2500000");
  EXPECT_EQ(Retention().limit_bytes(), 2'500'000u);
}

TEST_F(ClerkRetentionTest, LooksAgainAfterWhatIsAdded) {
  config_.retention_size.bytes = 1'500'000;
  const CrashLocation first = Crash(1'000'000);
  Retention().Look();
  EXPECT_TRUE(HasCore(first));
  Crash(1'000'000);
  Retention().Look();
  EXPECT_TRUE(HasCore(first)) << "it was told of nothing, and looks at all crashes each hour only";
  Retention().Added({.core_bytes = 1'000'000});
  Retention().Look();
  RunThrough({{[&] { return !HasCore(first); }}});
}

TEST_F(ClerkRetentionTest, WhatIsPinnedStaysAndAnotherGoes) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000), second = Crash(1'000'000), third = Crash(1'000'000);
  ASSERT_TRUE(store_.Pin(first, true));
  Retention().Look();
  RunThrough({{[&] { return !HasCore(second); }}});
  EXPECT_TRUE(HasCore(first));
  EXPECT_TRUE(HasCore(third));
}

TEST_F(ClerkRetentionTest, UsersOfOneRangeGiveWayTogether) {
  config_.retention_size.bytes = 3'000'000;  // of which a user has half
  const CrashLocation oldest = Crash(900'000), first = Crash(1'100'000, 0, 100'000),
                      second = Crash(1'100'000, 0, 100'001);
  Retention().Look();
  RunThrough({{[&] { return !HasCore(first); }}});
  EXPECT_TRUE(HasCore(oldest));
  EXPECT_TRUE(HasCore(second));
}

TEST_F(ClerkRetentionTest, WhatCannotBeRemovedDoesNotKeepTheOthers) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000), second = Crash(1'000'000), third = Crash(1'000'000);
  ASSERT_THAT(WriteAllAt(*Open(store_.PathOf(first) + "/" + kRecordFile, O_WRONLY),
                         std::as_bytes(std::span("?", 1)), 0),
              testing::Succeeds());
  Retention().Look();
  RunThrough({{[&] { return !HasCore(second); }}});
  EXPECT_TRUE(HasCore(first)) << "the disk may have damaged its record";
  EXPECT_TRUE(HasCore(third));
}

TEST_F(ClerkRetentionTest, RecordsThatCannotBeReadKeepNoMoreThanAShare) {
  config_.retention_size.bytes = 2'500'000;  // of which a user has half
  const CrashLocation first = Crash(1'000'000), second = Crash(1'000'000), third = Crash(1'000'000);
  for (const CrashLocation& crash : {first, second})
    ASSERT_THAT(WriteAllAt(*Open(store_.PathOf(crash) + "/" + kRecordFile, O_WRONLY),
                           std::as_bytes(std::span("?", 1)), 0),
                testing::Succeeds());
  Retention().Look();
  RunThrough({{[&] { return !HasCore(first); }}});
  EXPECT_TRUE(HasCore(second));
  EXPECT_TRUE(HasCore(third));
}

TEST_F(ClerkRetentionTest, DamagedRecordsOfANewIndexGoLikeOthers) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000, 2), second = Crash(1'000'000, 1), third = Crash(1'000'000);
  Damage(first);
  Damage(second);
  Reindex();
  Retention().Look();
  RunThrough({{[&] { return !HasCore(first); },
               [&] {
                 EXPECT_EQ((removed_[{"size", false}]), 1);
                 EXPECT_TRUE(HasCore(second));
                 EXPECT_TRUE(HasCore(third));
                 config_.retention_size.bytes = 1;
                 Retention().Reconfigure(config_);
                 Retention().Look();
               }},
              {[&] { return testing::CrashesOf(store_).empty(); }}});
}

TEST_F(ClerkRetentionTest, DamagedRecordsOfANewIndexStayWhileThereIsRoom) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000, 1), second = Crash(1'000'000);
  Damage(first);
  Reindex();
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  EXPECT_TRUE(HasCore(first));
  const CrashLocation third = Crash(1'000'000, 0, 1001);  // for which they do count
  Retention().Added({.core_bytes = 1'000'000});
  Retention().Look();
  RunThrough({{[&] { return !HasCore(first); }}});
  EXPECT_TRUE(HasCore(second));
  EXPECT_TRUE(HasCore(third));
}

TEST_F(ClerkRetentionTest, DamagedRecordsOfANewIndexStayIfTheyArePinned) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000, 2), second = Crash(1'000'000, 1), third = Crash(1'000'000);
  for (const CrashLocation& crash : {first, second}) Damage(crash);
  ASSERT_TRUE(store_.Pin(first, true));
  Reindex();
  Retention().Look();
  RunThrough({{[&] { return !HasCore(second); }}});
  EXPECT_TRUE(HasCore(first));
  EXPECT_TRUE(HasCore(third));
}

TEST_F(ClerkRetentionTest, DamagedRecordsOfANewIndexGetOld) {
  constexpr std::int64_t kHour = 3'600'000'000'000;
  config_.retention_core_days = 30;
  config_.retention_record_days = 180;
  const CrashLocation ancient = Crash(1'000, 182), old = Crash(1'000, 32), young = Crash(1'000, 29),
                      copied = Crash(1'000, 182);
  for (const CrashLocation& crash : {ancient, old, young, copied}) Damage(crash);
  for (const auto& [crash, days] : {std::pair(ancient, 182), {old, 32}, {young, 29}, {copied, 1}})
    Arrives(crash, kSomeTime - days * kOneDay);
  Reindex();
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  realtime_ += kHour, boottime_ += kHour;
  Retention().Look();
  RunThrough({{[&] { return removed_.size() == 2; }}});
  EXPECT_FALSE(store_.PresenceOf(ancient).exists);
  EXPECT_FALSE(HasCore(old));
  EXPECT_TRUE(HasCore(young));
  EXPECT_TRUE(HasCore(copied)) << "it came yesterday";
}

TEST_F(ClerkRetentionTest, WhatIsPutInThePlaceOfARecordKeepsNoCore) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000), second = Crash(1'000'000), third = Crash(1'000'000);
  ASSERT_EQ(
      ::rename((store_.PathOf(first) + "/" + kRecordFile).c_str(), (store_.PathOf(first) + "/x").c_str()), 0);
  ASSERT_EQ(::symlink("x", (store_.PathOf(first) + "/" + kRecordFile).c_str()), 0);
  Retention().Look();
  const std::string core = store_.PathOf(first) + "/" + kCoreFile;
  RunThrough({{[&] { return ::access(core.c_str(), F_OK) < 0; }}});
  EXPECT_TRUE(HasCore(second));
  EXPECT_TRUE(HasCore(third));
}

TEST_F(ClerkRetentionTest, WhatOthersRemovedCountsNoMore) {
  config_.retention_size.bytes = 2'500'000;
  const CrashLocation first = Crash(1'000'000), second = Crash(1'000'000), third = Crash(1'000'000);
  ASSERT_TRUE(index_.Use());
  ASSERT_TRUE(store_.Remove(second));
  Retention().Look();
  EXPECT_TRUE(HasCore(first));
  EXPECT_TRUE(HasCore(third));
  EXPECT_TRUE(removed_.empty());
}

TEST_F(ClerkRetentionTest, AgeCountsOnceTheClockWasSteadyForAnHour) {
  constexpr std::int64_t kHour = 3'600'000'000'000;
  config_.retention_core_days = 30;
  config_.retention_record_days = 180;
  const CrashLocation ancient = Crash(1'000, 181), old = Crash(1'000, 31), young = Crash(1'000, 29);
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  realtime_ += 400 * kOneDay;  // a clock that is set wrong
  boottime_ += kHour;
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  realtime_ -= 400 * kOneDay;
  boottime_ += kHour;
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  realtime_ += kHour;
  boottime_ += kHour;
  Retention().Look();
  RunThrough({{[&] { return removed_.size() == 2; }}});
  EXPECT_FALSE(store_.PresenceOf(ancient).exists);
  EXPECT_FALSE(HasCore(old));
  EXPECT_TRUE(HasCore(young));
  EXPECT_EQ((removed_[{"age", true}]), 1);
  EXPECT_EQ((removed_[{"age", false}]), 1);
}

TEST_F(ClerkRetentionTest, WhatHasJustComeIsNotOld) {
  constexpr std::int64_t kHour = 3'600'000'000'000;
  config_.retention_core_days = 30;
  config_.retention_record_days = 180;
  const CrashLocation import = Crash(1'000, 210), old = Crash(1'000, 210);
  Arrives(import, kSomeTime - kOneDay);
  {
    CrashRecord record = *store_.Load(old);
    ASSERT_NE(record.number, 0u) << "so it came after the import";
  }
  Retention().Look();
  realtime_ += kHour, boottime_ += kHour;
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  Arrives(import, kSomeTime - 210 * kOneDay);
  realtime_ += kHour, boottime_ += kHour;
  Retention().Look();
  RunThrough({{[&] { return (removed_[{"age", true}]) == 2; }}});
}

TEST_F(ClerkRetentionTest, RemovesWhatADiskNeedsAndNoMore) {
  config_.retention_size = {.bytes = 16'000'000};  // the floor: 4'000'000
  config_.retention_free = {.bytes = disk_.free + 1'500'000};
  std::vector<CrashLocation> crashes;
  for (int i = 0; i < 8; ++i) crashes.push_back(Crash(1'000'000));
  Retention().Look();
  for (int i = 0; i < 3; ++i) {  // it frees late
    Retention().Added({.core_bytes = 1});
    Retention().Look();
  }
  EXPECT_EQ((removed_[{"free", false}]), 2);
  EXPECT_TRUE(HasCore(crashes[2]));
  boottime_ = 61'000'000'000;
  Retention().Added({.core_bytes = 1});
  Retention().Look();
  EXPECT_EQ((removed_[{"free", false}]), 4);
  boottime_ *= 2;
  Retention().Added({.core_bytes = 1});
  Retention().Look();
  EXPECT_TRUE(HasCore(crashes[5])) << "the floor";
  EXPECT_FALSE(store_.LoadRemovedCore(crashes[5]));
}

TEST_F(ClerkRetentionTest, WhereSomethingGoesAllTheTimeADiskThatGetsFullIsSeen) {
  config_.retention_size = {.bytes = 8'000'000};
  config_.retention_free = {.bytes = 100'000'000};
  for (int i = 0; i < 8; ++i) (void)Crash(1'000'000);
  for (int i = 0; i < 5; ++i) {
    const CrashLocation crash = Crash(1'000'000);
    Retention().Added({.id = 0, .core_bytes = 1'000'000});
    Retention().Look();
    EXPECT_TRUE(HasCore(crash));
    boottime_ += 30'000'000'000;
    disk_.free = 0;  // others fill it
  }
  EXPECT_GE((removed_[{"size", false}]), 2);
  EXPECT_GE((removed_[{"free", false}]), 1);
}

TEST_F(ClerkRetentionTest, MuchThatIsPinnedDoesNotCostTheRest) {
  config_.retention_size.bytes = 8'000'000;
  const CrashLocation pinned = Crash(9'000'000), first = Crash(900'000), second = Crash(900'000);
  ASSERT_TRUE(store_.Pin(pinned, true));
  Retention().Look();
  Retention().Added({.core_bytes = 1});
  Retention().Look();
  EXPECT_TRUE(HasCore(first));
  EXPECT_TRUE(HasCore(second));
  EXPECT_TRUE(removed_.empty());
}

TEST_F(ClerkRetentionTest, TakesManyInSmallSteps) {
  config_.retention_size.bytes = 1;
  std::vector<CrashLocation> crashes;
  for (int i = 0; i < ClerkRetention::kAtOnce + 4; ++i) crashes.push_back(Crash(1'000));
  Retention().Look();
  EXPECT_LE((removed_[{"size", false}]), ClerkRetention::kAtOnce) << "orders can be taken now";
  RunThrough({{[&] { return (removed_[{"size", true}]) == ClerkRetention::kAtOnce + 4; }}});
  EXPECT_EQ(testing::CrashesOf(store_).size(), 0u);
}

TEST_F(ClerkRetentionTest, AnIndexThatIsWrongCostsNoCore) {
  config_.retention_size.bytes = 2'500'000;
  config_.retention_core_days = 30;
  const CrashLocation first = Crash(1'000'000), second = Crash(1'000'000);
  ASSERT_TRUE(index_.Use());
  const auto sql = [&](const char* statement) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((folder_ / "store/index.db").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, statement, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  };
  sql("UPDATE crashes SET disk_bytes = 1000000000000, report_bytes = -1");
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  boottime_ = 2 * 3'600'000'000'000;
  realtime_ += boottime_;
  sql("UPDATE crashes SET time = 1");
  for (const CrashLocation& crash : {first, second}) Arrives(crash, kSomeTime - 400 * kOneDay);
  Retention().Look();
  EXPECT_TRUE(removed_.empty());
  EXPECT_TRUE(HasCore(first));
  EXPECT_TRUE(HasCore(second));
}

TEST_F(ClerkRetentionTest, SwitchedOffItRemovesNothing) {
  config_.retention_size.bytes = 1;
  config_.retention = false;
  const CrashLocation crash = Crash(1'000);
  Retention().Look();
  EXPECT_TRUE(HasCore(crash));
  EXPECT_EQ(Retention().limit_bytes(), std::nullopt);
  config_.retention = true;
  Retention().Reconfigure(config_);
  Retention().Look();
  RunThrough({{[&] { return !store_.PresenceOf(crash).exists; }}});
}

TEST_F(ClerkRetentionTest, MuchThatAnOwnerPutThereIsLeftForAnother) {
  config_.retention_size.bytes = 1;
  const CrashLocation crash = Crash(1'000);
  for (int i = 0; i < 1'100; ++i) std::ofstream(store_.PathOf(crash) + "/" + std::to_string(i));
  Retention().Look();
  RunThrough({{[&] { return left_ == 1; }}});
  EXPECT_FALSE(store_.PresenceOf(crash).exists);
}

}  // namespace
}  // namespace obit
