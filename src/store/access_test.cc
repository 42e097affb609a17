#include "store/access.h"

#include <functional>

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/test_support.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Child;
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

  CrashLocation Commit(bool privileged) {
    CrashRecord record = SampleRecord();
    record.process.uid = kOwner;
    record.process.privileged = privileged;
    const IncomingCrash incoming = *store_.Begin(record.id);
    EXPECT_THAT(WriteFileAtomically(incoming.dir, kRecordFile, RecordToJson(record), 0600), Succeeds());
    EXPECT_THAT(WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600), Succeeds());
    EXPECT_EQ(ShareCrash(incoming.dir, record).value_or(false), true);
    return *store_.Commit(record.id, record.time);
  }

  /// True if `user` can do it.
  static bool As(uid_t user, const std::function<bool()>& what) {
    Child child(::fork());
    if (child.pid() == 0) {
      if (::setgroups(0, nullptr) < 0 || ::setgid(user) < 0 || ::setuid(user) < 0) ::_exit(2);
      ::_exit(what() ? 0 : 1);
    }
    const int status = child.Wait();
    EXPECT_TRUE(status == 0 || status == 1 << 8) << status;
    return status == 0;
  }
  /// Opens the store anew, as the user would.
  bool CanLoad(uid_t user, const CrashLocation& crash) {
    return As(user, [&] {
      const auto store = Store::Open(store_.path());
      return store && store->Load(crash) && store->OpenFile(crash, kCoreFile);
    });
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
};

TEST_F(AccessTest, IsForTheOwner) {
  const CrashLocation crash = Commit(false);
  EXPECT_TRUE(CanLoad(kOwner, crash));
  EXPECT_FALSE(CanLoad(kOther, crash));
  ASSERT_THAT(store_.WriteReport(crash, {.id = crash.id}), Succeeds());
  EXPECT_TRUE(As(kOwner, [&] { return Store::Open(store_.path())->LoadReport(crash).has_value(); }));
  EXPECT_FALSE(As(kOther, [&] { return Store::Open(store_.path())->LoadReport(crash).has_value(); }));
  EXPECT_FALSE(
      As(kOwner, [&] { return ::open((store_.PathOf(crash) + "/core.zst").c_str(), O_WRONLY) >= 0; }));
}

TEST_F(AccessTest, IsForNobodyElseIfItWasPrivileged) {
  const CrashLocation crash = Commit(true);
  EXPECT_FALSE(CanLoad(kOwner, crash));
  EXPECT_FALSE(CanLoad(kOther, crash));
  EXPECT_TRUE(store_.Load(crash));
}

TEST_F(AccessTest, TheOwnerPinsAndRemoves) {
  const CrashLocation crash = Commit(false);
  const auto by = [&](uid_t user, const std::function<bool(const Store&)>& what) {
    return As(user, [&] { return what(*Store::Open(store_.path())); });
  };
  EXPECT_FALSE(by(kOther, [&](const Store& store) { return store.Pin(crash, true).has_value(); }));
  EXPECT_TRUE(by(kOwner, [&](const Store& store) { return store.Pin(crash, true).has_value(); }));
  EXPECT_TRUE(store_.PresenceOf(crash).pinned);
  EXPECT_TRUE(by(kOwner, [&](const Store& store) { return store.Pin(crash, false).has_value(); }));
  EXPECT_FALSE(store_.PresenceOf(crash).pinned);
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
    return As(kOwner, [&] {
      return ::unlink((folder + "/" + name).c_str()) == 0 &&
             ::symlink(by.c_str(), (folder + "/" + name).c_str()) == 0;
    });
  };
  ASSERT_TRUE(replace(kCoreFile, "/etc/shadow"));
  EXPECT_THAT(store_.OpenFile(crash, kCoreFile), FailsWith(ELOOP));
  ASSERT_TRUE(As(kOwner, [&] {
    const auto dir = Open(folder, O_RDONLY | O_DIRECTORY);
    CrashRecord forged = SampleRecord();
    forged.id = crash.id;
    forged.process.comm = "forged";
    return dir && WriteFileAtomically(*dir, kRecordFile, RecordToJson(forged), 0644).has_value();
  }));
  EXPECT_THAT(store_.Load(crash), FailsWith(EPERM));
  EXPECT_THAT(store_.WriteReport(crash, {.id = crash.id}), FailsWith(EPERM));
}

TEST_F(AccessTest, AReportIsNotWrittenThroughALink) {
  const CrashLocation crash = Commit(false);
  const std::string target = store_.path() + "/target";
  ASSERT_TRUE(WriteFileAtomically(store_.root(), "target", "untouched", 0600));
  ASSERT_EQ(::link(target.c_str(), (store_.PathOf(crash) + "/report.json.new").c_str()), 0);
  ASSERT_THAT(store_.WriteReport(crash, {.id = crash.id}), Succeeds());
  EXPECT_EQ(ReadFile(target, 100)->text, "untouched");
  EXPECT_THAT(store_.LoadReport(crash), Succeeds());
}

TEST_F(AccessTest, RemovesWhatTheOwnerPutThere) {
  const CrashLocation crash = Commit(false);
  const std::string folder = store_.PathOf(crash);
  ASSERT_TRUE(As(kOwner, [&] {
    return ::mkdir((folder + "/a").c_str(), 0700) == 0 && ::mkdir((folder + "/a/b").c_str(), 0700) == 0 &&
           ::symlink(store_.path().c_str(), (folder + "/a/store").c_str()) == 0;
  }));
  EXPECT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_FALSE(store_.PresenceOf(crash).exists);
  EXPECT_THAT(Store::Open(store_.path()), Succeeds()) << "the link was not followed";
}

}  // namespace
}  // namespace obit
