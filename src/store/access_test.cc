#include "store/access.h"

#include <functional>

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/test_support.h"
#include "store/test_owner.h"

namespace obit {
namespace {

using testing::CanAs;
using testing::FailsWith;
using testing::SampleRecord;
using testing::Succeeds;
using testing::TemporaryFolder;

constexpr uid_t kOwner = 61001, kOther = 61002;

TEST(OwnerOf, IsNobodyUnlessItIsCertain) {
  CrashRecord record;
  record.process.uid = kOwner;
  EXPECT_EQ(OwnerOf(record), std::nullopt) << "it is not known whether it was privileged";
  record.process.privileged = true;
  EXPECT_EQ(OwnerOf(record), std::nullopt);
  record.process.privileged = false;
  EXPECT_EQ(OwnerOf(record), kOwner);
  record.process.uid.reset();
  EXPECT_EQ(OwnerOf(record), std::nullopt);
}

class AccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  }

  CrashLocation Commit(bool privileged) { return testing::CommitOf(store_, kOwner, privileged); }

  /// Opens the store anew, as the user would.
  bool CanLoad(uid_t user, const CrashLocation& crash) {
    return CanAs(user, [&] {
      const auto store = Store::Open(store_.path());
      return store && store->Load(crash) && store->OpenFile(crash, kCoreFile);
    });
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
};

TEST_F(AccessTest, ALeaseOfTheOwnerDelaysNobody) {
  const CrashLocation crash = Commit(false);
  const std::string path = store_.PathOf(crash) + "/" + kCommitFile;
  const auto leased = Open(path, O_RDWR | O_CREAT, 0600);
  ASSERT_THAT(leased, Succeeds());
  ASSERT_EQ(::fchown(leased->get(), kOwner, kOwner), 0);
  const auto handler = ::signal(SIGIO, SIG_IGN);  // what the owner hears of who opens it
  if (::fcntl(leased->get(), F_SETLEASE, F_WRLCK) < 0) GTEST_SKIP() << "no leases here";
  EXPECT_THAT(store_.OpenFile(crash, kCommitFile), FailsWith(EPERM));
  EXPECT_THAT(store_.LoadCommitNumber(crash), FailsWith(EPERM));
  EXPECT_TRUE(SaysThereIsNone(store_.LoadCommitNumber(crash).error()));
  ::signal(SIGIO, handler);
}

TEST_F(AccessTest, IsForTheOwner) {
  const CrashLocation crash = Commit(false);
  EXPECT_TRUE(CanLoad(kOwner, crash));
  EXPECT_FALSE(CanLoad(kOther, crash));
  ASSERT_THAT(store_.WriteReport(crash, {.id = crash.id}, kOwner), Succeeds());
  EXPECT_TRUE(CanAs(kOwner, [&] { return Store::Open(store_.path())->LoadReport(crash).has_value(); }));
  EXPECT_FALSE(CanAs(kOther, [&] { return Store::Open(store_.path())->LoadReport(crash).has_value(); }));
  EXPECT_FALSE(
      CanAs(kOwner, [&] { return ::open((store_.PathOf(crash) + "/core.zst").c_str(), O_WRONLY) >= 0; }));
}

TEST_F(AccessTest, IsForNobodyElseIfItWasPrivileged) {
  const CrashLocation crash = Commit(true);
  ASSERT_THAT(store_.WriteReport(crash, {.id = crash.id}, std::nullopt), Succeeds());
  EXPECT_FALSE(CanAs(kOwner, [&] { return Store::Open(store_.path())->LoadReport(crash).has_value(); }));
  EXPECT_FALSE(CanLoad(kOwner, crash));
  EXPECT_FALSE(CanLoad(kOther, crash));
  EXPECT_TRUE(store_.Load(crash));
}

TEST_F(AccessTest, TheOwnerPinsAndRemoves) {
  const CrashLocation crash = Commit(false);
  const auto by = [&](uid_t user, const std::function<bool(const Store&)>& what) {
    return CanAs(user, [&] { return what(*Store::Open(store_.path())); });
  };
  EXPECT_FALSE(by(kOther, [&](const Store& store) { return store.Pin(crash, true).has_value(); }));
  EXPECT_TRUE(by(kOwner, [&](const Store& store) { return store.Pin(crash, true).has_value(); }));
  EXPECT_TRUE(store_.PresenceOf(crash).pinned);
  EXPECT_TRUE(by(kOwner, [&](const Store& store) { return store.Pin(crash, false).has_value(); }));
  EXPECT_FALSE(store_.PresenceOf(crash).pinned);
  EXPECT_TRUE(by(kOther, [&](const Store& store) { return store.PresenceOf(crash).pinned; }))
      << "who cannot tell removes nothing";
  EXPECT_FALSE(by(kOther, [&](const Store& store) { return store.Remove(crash).has_value(); }));
  EXPECT_TRUE(store_.PresenceOf(crash).exists);
  EXPECT_TRUE(by(kOwner, [&](const Store& store) { return store.Remove(crash).has_value(); }));
  EXPECT_FALSE(store_.PresenceOf(crash).exists);
  EXPECT_TRUE(store_.RemoveIfEmptied(crash));
  EXPECT_FALSE(store_.RemoveIfEmptied(crash) && store_.PresenceOf(crash).exists);
}

TEST_F(AccessTest, NothingOfTheOwnersIsBelieved) {
  const CrashLocation crash = Commit(false);
  const std::string folder = store_.PathOf(crash);
  const auto replace = [&](const char* name, const std::string& by) {
    return CanAs(kOwner, [&] {
      return ::unlink((folder + "/" + name).c_str()) == 0 &&
             ::symlink(by.c_str(), (folder + "/" + name).c_str()) == 0;
    });
  };
  ASSERT_TRUE(replace(kCoreFile, "/etc/shadow"));
  EXPECT_THAT(store_.OpenFile(crash, kCoreFile), FailsWith(ELOOP));
  ASSERT_TRUE(CanAs(kOwner, [&] {
    const auto dir = Open(folder, O_RDONLY | O_DIRECTORY);
    CrashRecord forged = SampleRecord();
    forged.id = crash.id;
    forged.process.comm = "forged";
    return dir && WriteFileAtomically(*dir, kRecordFile, RecordToJson(forged), 0644).has_value();
  }));
  EXPECT_THAT(store_.Load(crash), FailsWith(EPERM));
  EXPECT_THAT(store_.WriteReport(crash, {.id = crash.id}, kOwner), FailsWith(EPERM));
}

TEST_F(AccessTest, AFileInItsPlaceThatCannotBeOpenedIsNotTheStores) {
  constexpr uid_t kUser = 61000;  // of the store
  const CrashLocation crash = Commit(false);
  const std::string folder = store_.PathOf(crash);
  ASSERT_EQ(::chown(folder.c_str(), kUser, kUser), 0);
  ASSERT_TRUE(CanAs(kOwner, [&] {
    return ::mknod((folder + "/" + kReportFile).c_str(), S_IFREG, 0) == 0 &&
           ::mknod((folder + "/" + kCommitFile).c_str(), S_IFSOCK | 0777, 0) == 0;
  }));
  EXPECT_TRUE(CanAs(kUser, [&] {
    const auto report = store_.LoadReport(crash);
    const auto number = store_.LoadCommitNumber(crash);
    return !report && report.error().code == EPERM && !number && number.error().code == EPERM;
  }));
}

TEST_F(AccessTest, AReportIsNotWrittenThroughALink) {
  const CrashLocation crash = Commit(false);
  const std::string target = store_.path() + "/target";
  ASSERT_TRUE(WriteFileAtomically(store_.root(), "target", "untouched", 0600));
  ASSERT_EQ(::link(target.c_str(), (store_.PathOf(crash) + "/report.json.new").c_str()), 0);
  ASSERT_THAT(store_.WriteReport(crash, {.id = crash.id}, kOwner), Succeeds());
  EXPECT_EQ(ReadFile(target, 100)->text, "untouched");
  EXPECT_THAT(store_.LoadReport(crash), Succeeds());
}

TEST_F(AccessTest, RemovesWhatTheOwnerPutThere) {
  const CrashLocation crash = Commit(false);
  const std::string folder = store_.PathOf(crash);
  ASSERT_TRUE(CanAs(kOwner, [&] {
    return ::mkdir((folder + "/a").c_str(), 0700) == 0 && ::mkdir((folder + "/a/b").c_str(), 0700) == 0 &&
           ::symlink(store_.path().c_str(), (folder + "/a/store").c_str()) == 0;
  }));
  EXPECT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_FALSE(store_.PresenceOf(crash).exists);
  EXPECT_THAT(Store::Open(store_.path()), Succeeds()) << "the link was not followed";
}

}  // namespace
}  // namespace obit
