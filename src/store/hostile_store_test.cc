// A store whose user is hostile, and crashes whose owners are, as root meets them.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>

#include <grp.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "store/access.h"
#include "store/removal.h"
#include "store/store.h"
#include "store/test_hostile.h"

namespace obit {
namespace {

using testing::CanAs;
using testing::Child;
using testing::CrashesOf;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::HostileStoreTest;
using testing::kOwner;
using testing::kUser;
using testing::SampleRecord;
using testing::SampleReport;
using testing::Succeeds;

TEST_F(HostileStoreTest, TheStoreGoesNowhereElse) {
  const CrashLocation out{"../..", crash_.id}, deep{crash_.day, "../../.."};
  const std::string victim = folder_ / crash_.id;
  ASSERT_THAT(MakeDirectories(victim + "/kept", 0755), Succeeds());
  for (const CrashLocation& crash : {out, deep}) {
    EXPECT_THAT(store_.Remove(crash), FailsWith(EINVAL));
    EXPECT_THAT(store_.Pin(crash, true), FailsWith(EINVAL));
    EXPECT_THAT(store_.Load(crash), FailsWith(EINVAL));
    EXPECT_THAT(store_.OpenFile(crash, kCoreFile), FailsWith(EINVAL));
    EXPECT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), FailsWith(EINVAL));
    EXPECT_FALSE(store_.RemoveIfEmptied(crash));
    EXPECT_FALSE(store_.PresenceOf(crash).exists);
  }
  EXPECT_THAT(store_.CrashesOf(".."), FailsWith(EINVAL));
  EXPECT_TRUE(Exists(victim + "/kept"));
}

TEST_F(HostileStoreTest, RemovesFoldersHoweverDeepTheOwnerNestsThem) {
  const std::string folder = store_.PathOf(crash_);
  ASSERT_TRUE(CanAs(kOwner, [&] {
    Fd at = *Open(folder, O_RDONLY | O_DIRECTORY);
    for (int depth = 0; depth < 3000; ++depth) {
      if (::mkdirat(at.get(), "in", 0700) < 0) return false;
      at = *OpenAt(at, "in", O_RDONLY | O_DIRECTORY);
      if (!OpenAt(at, "file", O_WRONLY | O_CREAT, 0600)) return false;
    }
    return ::mkdir((folder + "/.removed-1").c_str(), 0) == 0 &&
           ::mkfifo((folder + "/fifo").c_str(), 0600) == 0;
  }));
  EXPECT_TRUE(Soon([&] {
    const rlimit few{32, 32};
    return ::setrlimit(RLIMIT_NOFILE, &few) == 0 && store_.Remove(crash_).has_value();
  }));
  EXPECT_FALSE(Exists(folder));
  EXPECT_TRUE(std::filesystem::is_empty(store_.path() + "/incoming"));
}

TEST_F(HostileStoreTest, WhatMayNotBeRemovedIsNamedAndTheCoreIsGone) {
  const std::string folder = store_.PathOf(crash_);
  ASSERT_TRUE(CanAs(kOwner, [&] {
    return ::mkdir((folder + "/a\x1b").c_str(), 0700) == 0 &&
           ::mkdir((folder + "/a\x1b/b").c_str(), 0700) == 0;
  }));
  ASSERT_TRUE(CanAs(kUser, [&] {
    const auto removed = Store::Open(store_.path())->Remove(crash_);
    return !removed && removed.error().code == ENOTEMPTY && removed.error().what.contains("a\x1b");
  }));
  const std::string left = store_.path() + "/incoming/" + crash_.id + ".removed";
  EXPECT_TRUE(Exists(left + "/a\x1b/b"));
  EXPECT_FALSE(Exists(left + "/" + kCoreFile));
  EXPECT_TRUE(CrashesOf(store_).empty());
  EXPECT_THAT(GoOnRemoving(store_.root(), crash_.id + ".removed"), Succeeds());  // by root
  EXPECT_FALSE(Exists(left));
}

TEST_F(HostileStoreTest, AMountInACrashIsNotEmptied) {
  const std::string folder = store_.PathOf(crash_), elsewhere = folder_ / "elsewhere";
  ASSERT_THAT(MakeDirectories(elsewhere + "/kept", 0755), Succeeds());
  ASSERT_TRUE(CanAs(kOwner, [&] {
    return ::mkdir((folder + "/mount").c_str(), 0700) == 0 && ::mkdir((folder + "/a").c_str(), 0700) == 0 &&
           ::mkdir((folder + "/a/mount").c_str(), 0700) == 0;
  }));
  EXPECT_TRUE(Soon([&] {
    if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
      return false;
    for (const char* place : {"/mount", "/a/mount"})
      if (::mount(elsewhere.c_str(), (folder + place).c_str(), nullptr, MS_BIND, nullptr) < 0) return false;
    const auto removed = store_.Remove(crash_);
    return !removed && removed.error().code == ENOTEMPTY;
  }));
  EXPECT_TRUE(Exists(elsewhere + "/kept"));
  EXPECT_FALSE(Exists(folder + "/" + kCoreFile));
}

TEST_F(HostileStoreTest, ARemovalDoesNotNeedIncoming) {
  const std::string incoming = store_.path() + "/incoming";
  ASSERT_THAT(MakeDirectories(incoming + "/" + crash_.id + ".removed/x", 0700), Succeeds());
  ASSERT_THAT(store_.Remove(crash_), Succeeds()) << "the name is taken";
  EXPECT_TRUE(CrashesOf(store_).empty());

  const CrashLocation second = Commit();
  std::filesystem::remove_all(incoming);
  ASSERT_EQ(::symlink("/", incoming.c_str()), 0);
  EXPECT_THAT(Store::Open(store_.path())->Remove(second), Succeeds());
  EXPECT_FALSE(Exists(store_.PathOf(second)));
}

TEST_F(HostileStoreTest, FoldersInThePlaceOfFilesAreRemoved) {
  const CrashLocation crash = Commit();
  const std::string folder = store_.PathOf(crash);
  ASSERT_TRUE(CanAs(kOwner, [&] {
    for (const char* name : {kRecordFile, kCoreFile, kPinnedFile}) {
      ::unlink((folder + "/" + name).c_str());
      if (::mkdir((folder + "/" + name).c_str(), 0700) < 0) return false;
    }
    return true;
  }));
  EXPECT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_FALSE(Exists(folder));
}

TEST_F(HostileStoreTest, ALockOfTheOwnersIsNotWaitedForAndItsHolderIsNamed) {
  const std::string folder = store_.PathOf(crash_);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Child holder(::fork());
  if (holder.pid() == 0) {
    const Fd dir = *Open(folder, O_RDONLY | O_DIRECTORY);
    ::flock(dir.get(), LOCK_EX);
    (void)!::write(ends[1], "x", 1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  const auto written = store_.WriteReport(crash_, SampleReport(crash_.id), {});
  EXPECT_THAT(written, FailsWith(EBUSY));
  EXPECT_THAT(written.error().what, HasSubstr(fmt::format("process {}", holder.pid())));
  EXPECT_THAT(store_.Remove(crash_), Succeeds());
}

TEST_F(HostileStoreTest, AnEmptiedFolderOfManyFilesIsNotListedToItsEnd) {
  const std::string folder = store_.PathOf(crash_);
  ASSERT_TRUE(CanAs(kOwner, [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (::unlink(entry.path().c_str()) < 0) return false;
    for (int i = 0; i < 600; ++i)
      if (!Open(fmt::format("{}/{}", folder, i), O_WRONLY | O_CREAT, 0600)) return false;
    return true;
  }));
  EXPECT_FALSE(store_.RemoveIfEmptied(crash_)) << "its owner's files cost whoever looks at it";
  EXPECT_TRUE(Exists(folder));
  EXPECT_THAT(store_.Remove(crash_), Succeeds());
  EXPECT_FALSE(Exists(folder));
}

TEST_F(HostileStoreTest, AFolderOfManyFilesInAnEmptiedOneIsNotRemovedAtOnce) {
  const std::string folder = store_.PathOf(crash_);
  ASSERT_TRUE(CanAs(kOwner, [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (::unlink(entry.path().c_str()) < 0) return false;
    if (::mkdir((folder + "/in").c_str(), 0777) < 0) return false;
    for (int i = 0; i < 2200; ++i)
      if (!Open(fmt::format("{}/in/{}", folder, i), O_WRONLY | O_CREAT, 0600)) return false;
    return true;
  }));
  EXPECT_TRUE(store_.RemoveIfEmptied(crash_));
  EXPECT_FALSE(Exists(folder));
  const std::string left = store_.path() + "/incoming/" + crash_.id + ".removed";
  EXPECT_TRUE(Exists(left)) << "the rest is for the server";
  int steps = 1;
  for (; steps < 10; ++steps)
    if (const auto removed = GoOnRemoving(store_.root(), crash_.id + ".removed");
        removed || removed.error().code != EAGAIN)
      break;
  EXPECT_EQ(steps, 2);
  EXPECT_FALSE(Exists(left));
}

TEST_F(HostileStoreTest, OnlyFilesOfTheCrashAreShared) {
  const CrashRecord record = SampleRecord();
  const IncomingCrash incoming = *store_.Begin(record.id);
  ASSERT_EQ(::fchown(incoming.dir.get(), kUser, kUser), 0);
  const std::string folder = store_.path() + "/incoming/" + record.id, planted = folder + "/planted";
  const std::string secret = folder_ / "secret";
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "secret", "s", 0600), Succeeds());
  ASSERT_EQ(::chown(secret.c_str(), kUser, kUser), 0);
  ASSERT_EQ(::link(secret.c_str(), planted.c_str()), 0);
  EXPECT_THAT(ShareCrash(incoming.dir, record), Succeeds());
  struct stat status{};
  ASSERT_EQ(::stat(secret.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  ASSERT_EQ(::unlink(planted.c_str()), 0);
  ASSERT_THAT(WriteFileAtomically(incoming.dir, "planted", "p", 0600), Succeeds());
  ASSERT_EQ(::chown(planted.c_str(), kUser, kUser), 0);
  EXPECT_THAT(ShareCrash(incoming.dir, record), Succeeds());
  ASSERT_EQ(::stat(planted.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u) << "obit writes no such file";
  ASSERT_EQ(::unlink(planted.c_str()), 0);
  for (const mode_t kind : {S_IFIFO, S_IFSOCK}) {
    ASSERT_EQ(::mknod(planted.c_str(), kind | 0600, 0), 0);
    EXPECT_TRUE(Soon([&] { return ShareCrash(incoming.dir, record).has_value(); }));
    ASSERT_EQ(::unlink(planted.c_str()), 0);
  }
}

}  // namespace
}  // namespace obit
