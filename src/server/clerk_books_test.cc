#include "server/clerk_books.h"

#include <algorithm>

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/log.h"
#include "catalog/list.h"
#include "catalog/numbers.h"
#include "server/test_clerk.h"
#include "store/access.h"
#include "store/test_disk.h"

namespace {

int acl_error = 0;  // of each ACL that is to be set

}  // namespace

/// In the place of the C library's: no disk runs out of room for ACLs on demand.
extern "C" int fsetxattr(int fd, const char* name, const void* value, size_t size, int flags) noexcept {
  if (acl_error == 0) return static_cast<int>(::syscall(SYS_fsetxattr, fd, name, value, size, flags));
  errno = acl_error;
  return -1;
}

namespace obit {
namespace {

using testing::Facts;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Head;
using testing::kId;
using testing::Succeeds;

constexpr const char* kOther = "00000000000000bb";

class ClerkBooksTest : public testing::ClerkStoreTest {
 protected:
  ClerkBooksTest() { numbers_.Start(); }

  BookOrder Order(Order::Kind kind, CrashKey crash = 1) const {
    return {.kind = kind, .crash = crash, .head = Head(), .facts = Facts(), .reason = "that is why"};
  }
  void Record(CrashKey crash = 1) { books_.Take(Order(Order::Kind::kRecord, crash)); }
  void Commit(CrashKey crash = 1) { books_.Take(Order(Order::Kind::kCommit, crash)); }
  void Keep(CrashKey crash = 1) { books_.Take(Order(Order::Kind::kKeepWithoutCore, crash)); }

  std::vector<std::pair<CrashKey, bool>> done_;
  std::vector<CrashLocation> committed_;
  unsigned lost_ = 0;
  ClerkIndex index_{loop_, store_};
  Sequence::Range given_;
  ClerkNumbers numbers_{loop_, store_, index_, [this](const Sequence::Range& range) { given_ = range; }};
  ClerkBooks books_{loop_,
                    store_,
                    numbers_,
                    index_,
                    {.committed = [this](const CrashSummary& crash, const CrashRecord&, Fd,
                                         Fd) { committed_.push_back(crash.location); },
                     .done = [this](CrashKey crash, bool kept) { done_.emplace_back(crash, kept); },
                     .lost = [this](const CrashRecord&, const std::string&) { ++lost_; }}};
  const std::vector<std::pair<CrashKey, bool>> once_{{1, true}}, twice_{{1, true}, {2, true}};
};

TEST_F(ClerkBooksTest, RecordsACrashWithoutACore) {
  Record();
  EXPECT_EQ(done_, once_);
  const auto record = Committed();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->process.comm, "crashed");
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kEvent);
  EXPECT_EQ(record->capture.reason, "that is why");
  EXPECT_EQ(OwnerOf(*record), 1000u);
  EXPECT_GT(*store_.LoadCommitNumber(committed_.at(0)), 0u);
  books_.Sync();
  EXPECT_EQ(index_.Use()->crashes, 1u);
}

TEST_F(ClerkBooksTest, DoesNothingTwice) {
  Record();
  Record(2);
  EXPECT_EQ(done_, twice_);
  EXPECT_EQ(committed_.size(), 1u);
  for (CrashKey crash = 3; crash < 5; ++crash) Commit(crash), Keep(crash);
  EXPECT_EQ(done_.size(), 6u);
  EXPECT_TRUE(std::ranges::all_of(done_, [](const auto& done) { return done.second; }));
  EXPECT_EQ(ListFolders(store_)->crashes.size(), 1u);
}

TEST_F(ClerkBooksTest, CommitsWhatAWorkerStored) {
  LeaveComplete(kId, RecordOf(kId));
  Commit();
  EXPECT_EQ(done_, once_);
  EXPECT_EQ(Committed()->capture.outcome, CrashOutcome::kFull);
  EXPECT_TRUE(store_.OpenFile(committed_.at(0), kCoreFile));
}

TEST_F(ClerkBooksTest, GivesRightsByWhatTheManagerKnows) {
  CrashRecord record = RecordOf(kId);
  record.process.uid = 0;
  record.process.privileged = false;
  record.number = 99'999'999;
  record.time += 3 * testing::kOneDay;
  LeaveComplete(kId, record);
  Commit();
  const auto committed = Committed();
  ASSERT_THAT(committed, Succeeds());
  EXPECT_EQ(committed->process.uid, 1000u);
  EXPECT_EQ(committed->process.privileged, false);
  EXPECT_EQ(committed->number, 0u) << "it was never given";
}

/// Which process it was, and what it died of, is not what a worker says.
TEST_F(ClerkBooksTest, TellsWhoDiedOfWhatByWhatTheManagerKnows) {
  CrashRecord record = RecordOf(kId);
  record.process.pid = 1;
  record.signal = {.number = 9, .code = 3, .address = 5};
  LeaveComplete(kId, record);
  BookOrder order = Order(Order::Kind::kCommit);
  order.head.code = -6;
  order.head.has_code = 1;
  books_.Take(std::move(order));
  const auto committed = Committed();
  ASSERT_THAT(committed, Succeeds());
  EXPECT_EQ(committed->process.pid, 4711);
  EXPECT_EQ(committed->signal.number, 11);
  EXPECT_EQ(committed->signal.code, -6);
  EXPECT_EQ(committed->signal.address, 5U) << "it knows nothing better";
}

TEST_F(ClerkBooksTest, WhereTheManagerKnowsNothingItSaysNothing) {
  CrashRecord record = RecordOf(kId);
  record.signal.code = 3;
  LeaveComplete(kId, record);
  BookOrder order = Order(Order::Kind::kCommit);
  order.head.pid = order.head.signal = 0;
  books_.Take(std::move(order));
  EXPECT_EQ(Committed()->process.pid, record.process.pid);
  EXPECT_EQ(Committed()->signal.number, record.signal.number);
  EXPECT_EQ(Committed()->signal.code, 3);
}

TEST_F(ClerkBooksTest, IsForRootOnlyWhereNoRightCanBeGiven) {
  LeaveComplete(kId, RecordOf(kId));
  acl_error = ENOSPC;
  Commit();
  acl_error = 0;
  EXPECT_EQ(done_, once_);
  EXPECT_EQ(books_.failed(), 0U);
  ASSERT_EQ(committed_.size(), 1U) << "it does not wait for a right";
  struct stat folder{};
  ASSERT_EQ(::stat(store_.PathOf(committed_.front()).c_str(), &folder), 0);
  EXPECT_EQ(folder.st_mode & 07777U, 0700U);
}

TEST_F(ClerkBooksTest, AWorkerTakesRightsAwayAndGivesNone) {
  CrashRecord mine = RecordOf("00000000000000a1");
  mine.process.privileged = true;  // by the notes of its core
  LeaveComplete(mine.id, mine);
  BookOrder order = Order(Order::Kind::kCommit);
  order.head = Head(mine.id);
  books_.Take(std::move(order));
  EXPECT_EQ(Committed(mine.id)->process.privileged, true);

  CrashRecord theirs = RecordOf("00000000000000a2");
  theirs.process.privileged = false;
  LeaveComplete(theirs.id, theirs);
  order = Order(Order::Kind::kCommit);
  order.head = Head(theirs.id);
  order.head.privileged = 1;
  books_.Take(std::move(order));
  EXPECT_EQ(Committed(theirs.id)->process.privileged, true);
  EXPECT_EQ(OwnerOf(*Committed(theirs.id)), std::nullopt);
}

TEST_F(ClerkBooksTest, TakesAFolderThatWasPreparedUnderAnotherName) {
  LeaveComplete("00000000000000bb", RecordOf(kId));
  Commit();
  EXPECT_TRUE(Committed());
  EXPECT_FALSE(HasFile("incoming/00000000000000bb"));
}

TEST_F(ClerkBooksTest, KeepsTheRecordOfWhatAWorkerBegan) {
  LeaveBegun("00000000000000bb", RecordOf(kId));
  ASSERT_TRUE(WriteFileAtomically(store_.root(), "incoming/00000000000000bb/core.zst", "", 0600));
  Keep();
  const auto record = Committed();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->process.comm, "imgproxy");
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFailed);
  EXPECT_EQ(record->capture.reason, "that is why");
  EXPECT_EQ(record->capture.stored_bytes, 0u);
  EXPECT_THAT(store_.OpenFile(committed_.at(0), kCoreFile), FailsWith(ENOENT));
}

TEST_F(ClerkBooksTest, KeepsACoreThatWasStoredWholeWithoutItsRecord) {
  LeaveBegun(kId, RecordOf(kId));
  const testing::Bytes stored = testing::Content(testing::StoredFile(testing::Noise(1000, 1)));
  ASSERT_TRUE(WriteFileAtomically(store_.root(), std::string("incoming/") + kId + "/core.zst",
                                  {reinterpret_cast<const char*>(stored.data()), stored.size()}, 0600));
  Keep();
  EXPECT_EQ(done_, once_);
  const auto record = Committed();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->files.core, kCoreFile);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.method, CaptureMethod::kStream);
  EXPECT_EQ(record->capture.stored_bytes, stored.size());
  EXPECT_EQ(record->capture.core_bytes, 1000u) << "by its table";
  EXPECT_EQ(record->capture.reason, "that is why; its core had been stored, and is kept");
  EXPECT_EQ(testing::Content(*store_.OpenFile(committed_.at(0), kCoreFile)), stored);
}

TEST_F(ClerkBooksTest, KeepsTheRecordWhereNothingWasBegun) {
  Keep();
  EXPECT_EQ(Committed()->process.comm, "crashed");
  EXPECT_EQ(Committed()->capture.outcome, CrashOutcome::kFailed);
}

TEST_F(ClerkBooksTest, NeverDropsACoreThatIsWhole) {
  LeaveComplete(kId, RecordOf(kId));
  Keep();
  EXPECT_EQ(Committed()->capture.outcome, CrashOutcome::kFull);
  EXPECT_TRUE(store_.OpenFile(committed_.at(0), kCoreFile));
}

TEST_F(ClerkBooksTest, LeavesAFolderToWhoWorksOnIt) {
  LeaveBegun(kId, RecordOf(kId));
  std::optional<Fd> worker = *OpenAt(store_.root(), std::string("incoming/") + kId, O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(worker->get(), LOCK_EX | LOCK_NB), 0);
  Keep();
  EXPECT_EQ(done_, once_) << "what is known is on the disk";
  EXPECT_TRUE(HasFile(std::string("incoming/") + kId + "/core.zst"));
  worker.reset();
  RunThrough({{[this] { return books_.failed() == 0; }}});
  EXPECT_TRUE(Committed());
  EXPECT_EQ(done_, once_);
}

TEST_F(ClerkBooksTest, KeepsALateCoreBesideTheRecord) {
  BookOrder kept = Order(Order::Kind::kKeepWithoutCore);
  kept.head.number = given_.first;
  books_.Take(std::move(kept));
  CrashRecord late = RecordOf(kId);
  late.number = given_.first;
  LeaveComplete(kId, late);
  Commit(2);
  EXPECT_EQ(done_, twice_);
  ASSERT_EQ(committed_.size(), 2u);
  EXPECT_NE(committed_[1].id, kId);
  EXPECT_EQ(store_.Load(committed_[1])->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(store_.Load(committed_[0])->number, given_.first);
  EXPECT_EQ(store_.Load(committed_[1])->number, 0u) << "the number is given to the record";
}

TEST_F(ClerkBooksTest, KeepsALateCoreThatCouldNotBeOpenedAtOnce) {
  Keep();
  LeaveComplete(kOther,
                RecordOf(kId));  // it was prepared under that name: to find it takes one descriptor more
  const EventSource timer = *loop_.After(std::chrono::hours(1), [] {});  // the loop has its descriptors
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlim_t few = 0;
  for (int free = 3; free > 0; ++few) free -= ::fcntl(static_cast<int>(few), F_GETFD) < 0 ? 1 : 0;
  const rlimit lower{few - 1, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
  Commit(2);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_EQ(committed_.size(), 1u);
  EXPECT_EQ(books_.failed(), 1u);
  RunThrough({{[this] { return books_.failed() == 0; }}});
  ASSERT_EQ(committed_.size(), 2u);
  EXPECT_EQ(store_.Load(committed_[1])->capture.outcome, CrashOutcome::kFull);
}

TEST_F(ClerkBooksTest, ReplacesNoRecordForAFaultOfAMoment) {
  LeaveComplete(kId, RecordOf(kId));
  {
    const testing::DiskFault fault({.unread = kRecordFile});
    Keep();
  }
  EXPECT_EQ(books_.failed(), 1u);
  RunThrough({{[this] { return books_.failed() == 0; }}});
  EXPECT_EQ(Committed()->capture.outcome, CrashOutcome::kFull);
}

TEST_F(ClerkBooksTest, ReplacesARecordThatTheDiskDoesNotGive) {
  LeaveComplete(kId, RecordOf(kId));
  BookOrder order = Order(Order::Kind::kKeepWithoutCore);
  order.unreadable = ClerkBooks::kUnreadableMax - 1;
  {
    const testing::DiskFault fault({.unread = kRecordFile});
    books_.Take(std::move(order));
  }
  RunThrough({{[this] { return books_.failed() == 0; }}});
  EXPECT_EQ(Committed()->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(Committed()->files.core, kCoreFile);
}

TEST_F(ClerkBooksTest, RecordsWhatIsGone) {
  Commit();
  EXPECT_EQ(done_, once_);
  EXPECT_EQ(Committed()->capture.outcome, CrashOutcome::kFailed);
  EXPECT_THAT(Committed()->capture.reason, HasSubstr("is gone"));
}

TEST_F(ClerkBooksTest, ReplacesARecordThatCannotBeRead) {
  LeaveComplete(kId, RecordOf(kId));
  ASSERT_TRUE(WriteFileAtomically(store_.root(), std::string("incoming/") + kId + "/crash.json", "{", 0600));
  Commit();
  const auto record = Committed();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->process.comm, "crashed");
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->files.core, kCoreFile);
}

TEST_F(ClerkBooksTest, TriesAgainWhatFailed) {
  LeaveComplete(kId, RecordOf(kId));
  const std::string in_the_way = folder_ / "store/crashes/2026-11-23";
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "store/crashes/2026-11-23", "", 0600), Succeeds());
  Commit();
  EXPECT_EQ(done_, once_) << "it is safe";
  EXPECT_TRUE(HasFile(std::string("incoming/") + kId + "/core.zst"));
  EXPECT_EQ(books_.failed(), 1u);
  std::filesystem::remove(in_the_way);
  RunThrough({{[this] { return books_.failed() == 0; }}});
  EXPECT_TRUE(Committed());
  EXPECT_EQ(done_, once_);
}

TEST_F(ClerkBooksTest, IsDoneOnlyWithWhatIsOnTheDisk) {
  const std::string in_the_way = "store/incoming/" + std::string(kId);
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), in_the_way, "", 0600), Succeeds());
  Record();
  EXPECT_TRUE(done_.empty());
  std::filesystem::remove(folder_ / in_the_way);
  RunThrough({{[this] { return books_.failed() == 0; }}});
  EXPECT_EQ(done_, once_);
  EXPECT_TRUE(Committed());
}

TEST_F(ClerkBooksTest, SaysInTheEndWhatCouldNotBeRecorded) {
  const std::string in_the_way = "store/incoming/" + std::string(kId);
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), in_the_way, "", 0600), Succeeds());
  Record();
  books_.Finish();
  EXPECT_EQ(lost_, 1u);
  EXPECT_EQ(done_, (std::vector<std::pair<CrashKey, bool>>{{1, false}}));
}

TEST_F(ClerkBooksTest, NumbersLaterWhatCouldNotBeNumbered) {
  std::optional<StoreNumbers> other = OpenNumbers(store_, 1, true);
  std::optional<Fd> lock = *other->committed.Lock();
  Record();
  EXPECT_EQ(done_, once_);
  EXPECT_FALSE(store_.LoadCommitNumber(committed_.at(0)));
  lock.reset();
  RunThrough({{[this] { return store_.LoadCommitNumber(committed_.at(0)).has_value(); }}});
}

}  // namespace
}  // namespace obit
