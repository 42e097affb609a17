#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "store/removal.h"
#include "store/store.h"
#include "store/test_cores.h"
#include "store/test_owner.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::kSomeTime;
using testing::Succeeds;

constexpr uid_t kOwner = 61'000;

class CoreRemovalTest : public ::testing::Test {
 protected:
  [[nodiscard]] CrashLocation Crash() const {
    const CrashLocation crash = testing::CommitCrash(store_, testing::SampleRecord());
    for (const char* name : {kCoreFile, kExeFile}) std::ofstream(Path(crash, name)) << "core";
    return crash;
  }
  [[nodiscard]] std::string Path(const CrashLocation& crash, const std::string& name) const {
    return store_.PathOf(crash) + "/" + name;
  }
  [[nodiscard]] bool Exists(const CrashLocation& crash, const std::string& name) const {
    return std::filesystem::exists(Path(crash, name));
  }
  static RemovedCore Note(const CrashLocation& crash) {
    return {.id = crash.id, .time = kSomeTime, .bytes = 8, .why = "it was old"};
  }

  testing::TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();
};

TEST_F(CoreRemovalTest, TheRecordStays) {
  const CrashLocation crash = Crash();
  ASSERT_THAT(store_.WriteReport(crash, testing::SampleReport(crash.id), {}), Succeeds());
  EXPECT_EQ(store_.IsCoreRemoved(crash), false);
  EXPECT_THAT(store_.LoadRemovedCore(crash), FailsWith(ENOENT));
  ASSERT_THAT(store_.RemoveCore(crash, Note(crash)), Succeeds());
  EXPECT_FALSE(Exists(crash, kCoreFile));
  EXPECT_FALSE(Exists(crash, kExeFile));
  EXPECT_THAT(store_.Load(crash), Succeeds());
  EXPECT_THAT(store_.LoadReport(crash), Succeeds());
  EXPECT_EQ(store_.IsCoreRemoved(crash), true);
  const auto removed = store_.LoadRemovedCore(crash);
  ASSERT_THAT(removed, Succeeds());
  EXPECT_EQ(removed->bytes, 8u);
  EXPECT_EQ(removed->why, "it was old");
  struct stat status{};
  ASSERT_EQ(::stat(Path(crash, kRemovedFile).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u) << "as the record";
  ASSERT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_FALSE(Exists(crash, ""));
}

TEST_F(CoreRemovalTest, TheFirstNoteCounts) {
  const CrashLocation crash = Crash();
  EXPECT_EQ(store_.RemoveCore(crash, Note(crash)), true);
  RemovedCore again = Note(crash);
  again.why = "twice";
  EXPECT_EQ(store_.RemoveCore(crash, again), false);
  EXPECT_EQ(store_.LoadRemovedCore(crash)->why, "it was old");
}

TEST_F(CoreRemovalTest, MakesItsDayLookChanged) {
  const CrashLocation crash = Crash();
  const timespec times[] = {{0, UTIME_OMIT}, {1'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (store_.path() + "/crashes/" + crash.day).c_str(), times, 0), 0);
  ASSERT_THAT(store_.RemoveCore(crash, Note(crash)), Succeeds());
  EXPECT_GT(store_.DayChanged(crash.day), 2'000'000'000'000);
  const auto stamps = store_.ReportStamps(crash.day, std::span(&crash, 1));
  ASSERT_THAT(stamps, Succeeds());
  ASSERT_TRUE(stamps->at(0));
  EXPECT_TRUE(stamps->at(0)->core_removed);
}

TEST_F(CoreRemovalTest, OfNoCrashIsENOENT) {
  const CrashLocation crash = Crash();
  EXPECT_THAT(store_.RemoveCore(crash, Note({crash.day, "00000000000000aa"})), FailsWith(EINVAL));
  ASSERT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_THAT(store_.RemoveCore(crash, Note(crash)), FailsWith(ENOENT));
  EXPECT_EQ(store_.IsCoreRemoved(crash), false);
  EXPECT_THAT(store_.IsCoreRemoved({"../..", crash.id}), Succeeds());
}

TEST_F(CoreRemovalTest, WithoutARecordNothingStays) {
  const CrashLocation crash = Crash();
  ASSERT_EQ(::unlink(Path(crash, kRecordFile).c_str()), 0);
  EXPECT_THAT(store_.RemoveCore(crash, Note(crash)), FailsWith(ENOENT));
  EXPECT_FALSE(Exists(crash, kCoreFile));
  EXPECT_FALSE(Exists(crash, kExeFile));
}

TEST_F(CoreRemovalTest, ANoteBesideACoreHidesNothing) {
  const CrashLocation crash = Crash();
  std::ofstream(Path(crash, kRemovedFile)) << RemovedCoreToJson(Note(crash));
  EXPECT_EQ(store_.IsCoreRemoved(crash), false) << "its owner may have written it";
  ASSERT_THAT(store_.RemoveCore(crash, Note(crash)), Succeeds());
  EXPECT_EQ(store_.IsCoreRemoved(crash), true);
}

TEST_F(CoreRemovalTest, WhatIsInThePlaceOfTheNoteDoesNotKeepTheCore) {
  const CrashLocation crash = Crash();
  ASSERT_EQ(::mkdir(Path(crash, kRemovedFile).c_str(), 0700), 0);
  EXPECT_EQ(store_.IsCoreRemoved(crash), false);
  EXPECT_THAT(store_.RemoveCore(crash, Note(crash)), Succeeds());
  EXPECT_FALSE(Exists(crash, kCoreFile));
  EXPECT_EQ(store_.IsCoreRemoved(crash), true);
  EXPECT_FALSE(store_.LoadRemovedCore(crash));
}

TEST_F(CoreRemovalTest, OfAnotherUsersCrashIsEPERM) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be several users";
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  const CrashLocation crash = testing::CommitOf(store_, kOwner, false);
  EXPECT_TRUE(testing::CanAs(kOwner, [&] {
    const auto removed = store_.RemoveCore(crash, Note(crash));
    return !removed && removed.error().code == EPERM;
  })) << "he may take it away himself";
  EXPECT_EQ(store_.IsCoreRemoved(crash), false);
}

TEST_F(CoreRemovalTest, InPassingLeavesWhatTheOwnerPutThere) {
  const CrashLocation crash = Crash();
  for (std::size_t i = 0; i < kRemovedInPassing + 5; ++i) std::ofstream(Path(crash, std::to_string(i)));
  EXPECT_THAT(store_.RemoveInPassing(crash), FailsWith(EAGAIN));
  EXPECT_THAT(store_.Load(crash), FailsWith(ENOENT));
  const auto left = HalfRemoved(store_.root());
  ASSERT_THAT(left, Succeeds());
  ASSERT_EQ(left->size(), 1u);
  EXPECT_THAT(GoOnRemoving(store_.root(), left->front()), Succeeds());
}

TEST_F(CoreRemovalTest, TellsWhoPinnedACrash) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be several users";
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  const CrashLocation crash = testing::CommitOf(store_, kOwner, false);
  EXPECT_EQ(store_.PresenceOf(crash).pin, PinKind::kNone);
  ASSERT_THAT(store_.Pin(crash, true), Succeeds());
  EXPECT_EQ(store_.PresenceOf(crash).pin, PinKind::kByAdministrator);
  ASSERT_THAT(store_.Pin(crash, false), Succeeds());
  const std::string mark = Path(crash, kPinnedFile);
  ASSERT_TRUE(testing::CanAs(kOwner, [&] { return std::ofstream(mark).is_open(); }));
  EXPECT_EQ(store_.PresenceOf(crash).pin, PinKind::kByOwner);
  ASSERT_THAT(store_.Pin(crash, false), Succeeds());
  const std::string core = Path(crash, kCoreFile);
  ASSERT_TRUE(testing::CanAs(kOwner, [&] { return ::rename(core.c_str(), mark.c_str()) == 0; }));
  EXPECT_EQ(store_.PresenceOf(crash).pin, PinKind::kByOwner) << "a file of obit's under that name";
}

TEST_F(CoreRemovalTest, APinOfRootsTakesThePlaceOfItsOwners) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be several users";
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  const CrashLocation crash = testing::CommitOf(store_, kOwner, false);
  const std::string mark = Path(crash, kPinnedFile);
  ASSERT_TRUE(testing::CanAs(kOwner, [&] { return ::mkdir(mark.c_str(), 0700) == 0; }));
  ASSERT_THAT(store_.Pin(crash, true), Succeeds());
  EXPECT_EQ(store_.PresenceOf(crash).pin, PinKind::kByAdministrator);
  ASSERT_THAT(store_.Pin(crash, false), Succeeds());
  ASSERT_TRUE(testing::CanAs(
      kOwner, [&] { return ::mkdir(mark.c_str(), 0700) == 0 && ::mkdir((mark + "/x").c_str(), 0700) == 0; }));
  EXPECT_THAT(store_.Pin(crash, true), FailsWith(ENOTEMPTY)) << "it would not count";
}

}  // namespace
}  // namespace obit
