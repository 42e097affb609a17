#include "server/clerk_recovery.h"

#include <sys/file.h>
#include <sys/resource.h>

#include "server/test_clerk.h"
#include "store/test_disk_calls.h"

namespace obit {
namespace {

using testing::Head;
using testing::kId;

constexpr const char* kOther = "00000000000000bb";

class ClerkRecoveryTest : public testing::ClerkStoreTest {
 protected:
  /// A crash that the manager `generation` had accepted.
  void Note(const std::string& id, std::uint32_t generation) {
    LedgerEntry entry{.head = Head(id)};
    std::memcpy(entry.comm, "noted", 5);
    ASSERT_TRUE(ledger_.Note(generation, entry));
  }
  ClerkRecovery& Start() {
    recovery_.emplace(
        loop_, store_, &ledger_, 7,
        ClerkRecovery::Handler{.take = [this](BookOrder order) { taken_.push_back(std::move(order)); },
                               .tell = [this](const std::string& id) { told_.push_back(id); },
                               .saw_number = [](std::uint64_t) {}});
    recovery_->Start();
    return *recovery_;
  }
  Fd Lock(const std::string& name) {
    Fd worker = *OpenAt(store_.root(), "incoming/" + name, O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(::flock(worker.get(), LOCK_EX | LOCK_NB), 0);
    return worker;
  }

  /// The lowest number that no descriptor has.
  static int FirstFree() { return Open("/dev/null", O_RDONLY)->get(); }

  Ledger ledger_ = *Ledger::Open("");
  std::vector<BookOrder> taken_;
  std::vector<std::string> told_;
  std::optional<ClerkRecovery> recovery_;
};

TEST_F(ClerkRecoveryTest, TellsWhatHasToBeCompletedUnderItsName) {
  LeaveBegun(kOther, RecordOf(kId));
  Start();
  EXPECT_EQ(told_, std::vector<std::string>{kId});
  EXPECT_TRUE(HasFile(std::string("incoming/") + kId));
  EXPECT_TRUE(taken_.empty());
  Lock(kId);  // a worker can have it
}

TEST_F(ClerkRecoveryTest, DropsFoldersThatWereOnlyPrepared) {
  (void)*store_.Begin(kId);
  {
    const IncomingCrash prepared = *store_.Begin(kOther);
    ASSERT_TRUE(WriteFileAtomically(prepared.dir, kBegunFile, "", 0600));
    ASSERT_TRUE(WriteFileAtomically(prepared.dir, kCoreFile, "", 0600));
  }
  Start();
  EXPECT_TRUE(told_.empty() && taken_.empty());
  EXPECT_FALSE(HasFile(std::string("incoming/") + kId));
  EXPECT_FALSE(HasFile(std::string("incoming/") + kOther));
}

TEST_F(ClerkRecoveryTest, TellsACoreOfWhichNothingElseIsLeft) {
  LeaveBegun(kOther, RecordOf(kId));
  for (const bool empty : {true, false}) {
    if (empty)
      ASSERT_TRUE(
          WriteFileAtomically(store_.root(), std::string("incoming/") + kOther + "/begun.json", "", 0600));
    else
      ASSERT_EQ(::unlinkat(store_.root().get(), "incoming/00000000000000bb/begun.json", 0), 0);
    told_.clear();
    Start();
    EXPECT_EQ(told_, std::vector<std::string>{kOther});
    EXPECT_TRUE(HasFile(std::string("incoming/") + kOther + "/core.zst"));
  }
}

TEST_F(ClerkRecoveryTest, LeavesWhatCannotBeLookedAt) {
  LeaveBegun(kOther, RecordOf(kOther));
  ASSERT_TRUE(
      WriteFileAtomically(store_.root(), std::string("incoming/") + kOther + "/begun.json", "", 0600));
  LeaveComplete(kId, RecordOf(kId));
  {
    const testing::DiskFault fault({.unseen = kCoreFile});
    Start();
    EXPECT_TRUE(told_.empty() && taken_.empty());
  }
  for (const char* id : {kId, kOther}) EXPECT_TRUE(HasFile(std::string("incoming/") + id + "/core.zst"));
  RunThrough({{[this] { return taken_.size() == 1 && told_.size() == 1; }}});
  EXPECT_EQ(told_, std::vector<std::string>{kOther});
}

TEST_F(ClerkRecoveryTest, HandsOnWhatTheDiskDoesNotGiveAgain) {
  LeaveComplete(kId, RecordOf(kId));
  const testing::DiskFault fault({.unread = kRecordFile});
  Start();
  EXPECT_TRUE(told_.empty() && taken_.empty());
  RunThrough({{[this] { return told_.size() == 1; }}});
  EXPECT_EQ(told_, std::vector<std::string>{kId});
}

TEST_F(ClerkRecoveryTest, CommitsWhatIsCompleteByWhatTheLedgerKnows) {
  LeaveComplete(kId, RecordOf(kId));
  Note(kId, 6);
  ClerkRecovery& recovery = Start();
  ASSERT_EQ(taken_.size(), 1u);
  EXPECT_EQ(taken_[0].kind, Order::Kind::kCommit);
  EXPECT_EQ(taken_[0].head.uid, 1000u);
  EXPECT_EQ(taken_[0].head.privileged, 0);
  EXPECT_EQ(ledger_.LeftBy(7).size(), 1u);
  EXPECT_TRUE(recovery.OnDone(taken_[0].crash)) << "no manager waits for it";
  EXPECT_TRUE(ledger_.LeftBy(7).empty());
}

TEST_F(ClerkRecoveryTest, WhatNobodyKnowsIsForNobody) {
  LeaveComplete(kId, RecordOf(kId));
  Start();
  EXPECT_TRUE(taken_.empty()) << "an order may be under way";
  RunThrough({{[this] { return taken_.size() == 1; }}});
  EXPECT_EQ(taken_[0].head.privileged, 1);
  EXPECT_EQ(taken_[0].head.has_uid, 0);
}

TEST_F(ClerkRecoveryTest, LeavesToTheManagerWhatItHas) {
  LeaveComplete(kId, RecordOf(kId));
  LeaveBegun(kOther, RecordOf(kOther));
  Note(kId, 7);
  Note(kOther, 7);
  Note("00000000000000cc", 7);
  Start();
  EXPECT_TRUE(told_.empty() && taken_.empty());
}

TEST_F(ClerkRecoveryTest, RecordsWhatOnlyTheLedgerKnows) {
  Note(kId, 6);
  testing::CommitCrash(store_, RecordOf(kOther));
  Note(kOther, 6);
  ClerkRecovery& recovery = Start();
  ASSERT_EQ(taken_.size(), 1u);
  EXPECT_EQ(taken_[0].kind, Order::Kind::kRecord);
  EXPECT_EQ(TextIn(taken_[0].head.id), kId);
  EXPECT_EQ(taken_[0].reason, "the manager of obitd died while it had this crash");
  EXPECT_EQ(taken_[0].head.outcome, static_cast<std::uint32_t>(CrashOutcome::kFailed));
  EXPECT_EQ(RecordFromJson(taken_[0].facts)->process.comm, "noted");
  EXPECT_EQ(ledger_.LeftBy(7).size(), 1u) << "the other was committed";
  (void)recovery.OnDone(taken_[0].crash);
  EXPECT_TRUE(ledger_.LeftBy(7).empty());
}

TEST_F(ClerkRecoveryTest, FillsInWhoseCrashAWorkerCompleted) {
  LeaveBegun(kId, RecordOf(kId));
  Note(kId, 6);
  ClerkRecovery& recovery = Start();
  EXPECT_EQ(told_.size(), 1u);
  EXPECT_TRUE(taken_.empty());
  BookOrder order{.kind = Order::Kind::kCommit, .crash = 42};
  SetText(order.head.id, kId);
  recovery.FillIn(order);
  EXPECT_EQ(order.head.uid, 1000u);
  EXPECT_EQ(order.head.privileged, 0);
  EXPECT_FALSE(recovery.OnDone(42));
  EXPECT_TRUE(ledger_.LeftBy(7).empty());
}

TEST_F(ClerkRecoveryTest, LooksAgainWhereItCouldNotLook) {
  LeaveComplete(kId, RecordOf(kId));
  LeaveBegun(kOther, RecordOf(kOther));
  for (const char* id : {kId, kOther, "00000000000000cc"}) Note(id, 6);
  const EventSource timer = *loop_.After(std::chrono::hours(1), [] {});  // the loop has its descriptors
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  for (const rlim_t files : {rlim_t{0}, static_cast<rlim_t>(FirstFree() + 1)}) {
    const rlimit few{files, limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    Start();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_TRUE(told_.empty() && taken_.empty());
  }
  RunThrough({{[this] { return taken_.size() == 2 && told_.size() == 1; }}});
  ASSERT_EQ(taken_.size(), 2u);
  EXPECT_EQ(taken_[0].kind, Order::Kind::kCommit);
  EXPECT_EQ(taken_[1].kind, Order::Kind::kRecord);
  EXPECT_EQ(TextIn(taken_[1].head.id), "00000000000000cc");
}

TEST_F(ClerkRecoveryTest, NeedsNoDescriptorForEachFolder) {
  constexpr int kFolders = 30, kMore = 8;
  for (int i = 0; i < kFolders; ++i) {
    const std::string id = fmt::format("{:016x}", i + 1);
    LeaveBegun(id, RecordOf(id));
  }
  const EventSource timer = *loop_.After(std::chrono::hours(1), [] {});  // the loop has its descriptors
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit few{static_cast<rlim_t>(FirstFree() + kMore), limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  Start();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(told_.size(), std::size_t{kFolders});
}

TEST_F(ClerkRecoveryTest, GoesOnWithRemovalsOnceItHasStarted) {
  for (const char* name : {"incoming/00000000000000a1.removed", "incoming/00000000000000a2.removed"}) {
    const std::string folder = folder_ / "store/" + name;
    std::filesystem::create_directory(folder);
    for (int i = 0; i < 1100; ++i)
      ASSERT_TRUE(Open(fmt::format("{}/{}", folder, i), O_WRONLY | O_CREAT, 0600));
  }
  Start();
  EXPECT_TRUE(HasFile("incoming/00000000000000a1.removed") && HasFile("incoming/00000000000000a2.removed"));
  RunThrough({{[this] { return std::filesystem::is_empty(folder_ / "store/incoming"); }}});
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "store/incoming"));
}

TEST_F(ClerkRecoveryTest, GoesOnWithARemovalThatWasCutShortMeanwhile) {
  ClerkRecovery& recovery = Start();
  std::filesystem::create_directory(folder_ / "store/incoming/00000000000000a1.removed");
  recovery.LookForRemoved();
  RunThrough({{[this] { return std::filesystem::is_empty(folder_ / "store/incoming"); }}});
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "store/incoming"));
}

TEST_F(ClerkRecoveryTest, WaitsForWorkersThatHaveOutlivedTheirManager) {
  LeaveBegun(kOther, RecordOf(kId));
  Note(kId, 6);
  std::optional<Fd> worker = Lock(kOther);
  Start();
  EXPECT_TRUE(told_.empty() && taken_.empty());
  CrashRecord record = RecordOf(kId);
  ASSERT_TRUE(WriteFileAtomically(*worker, kRecordFile, RecordToJson(record), 0600));
  worker.reset();
  RunThrough({{[this] { return taken_.size() == 1; }}});
  EXPECT_EQ(taken_[0].kind, Order::Kind::kCommit);
  EXPECT_EQ(taken_[0].head.uid, 1000u);
}

}  // namespace
}  // namespace obit
