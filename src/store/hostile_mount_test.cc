// What a crash's owner, or the store's user, may mount over its places. A file system of his own (FUSE) has
// an answer to nothing: whoever asks it waits for ever.

#include <functional>

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "store/removal.h"
#include "store/store.h"
#include "store/test_hostile.h"

namespace obit {
namespace {

using testing::CrashesOf;
using testing::SampleReport;

int CodeOf(const auto& result) { return result ? 0 : result.error().code; }

class HostileMountTest : public testing::HostileStoreTest {
 protected:
  void SetUp() override {
    testing::HostileStoreTest::SetUp();
    if (IsSkipped()) return;
    if (::access("/dev/fuse", R_OK | W_OK) < 0) GTEST_SKIP() << "needs /dev/fuse";
    ASSERT_TRUE(store_.WriteReport(crash_, SampleReport(crash_.id), testing::kOwner));
    ASSERT_TRUE(store_.WriteCommitNumber(crash_, 7));
    ASSERT_TRUE(store_.Pin(crash_, true));
  }

  /// True if root can do it while a file system that answers nothing is mounted at `place`, in a child which
  /// is ended if it hangs. It has the store, opened where that is mounted.
  [[nodiscard]] bool SoonUnder(const std::string& place, const std::function<bool(const Store&)>& what) {
    return Soon([&] {
      struct stat status{};
      if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
          ::stat(place.c_str(), &status) < 0)
        return false;
      const Fd server(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
      const std::string options =
          fmt::format("fd={},rootmode={:o},user_id={},group_id={},allow_other", server.get(),
                      status.st_mode & S_IFMT, testing::kOwner, testing::kOwner);
      const auto store = Store::Open(store_.path());
      if (!store || ::mount("hostile", place.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) < 0)
        return false;
      return what(*store);
    });
  }
};

TEST_F(HostileMountTest, OneOverACrashHoldsNobody) {
  const std::string folder = store_.PathOf(crash_);
  EXPECT_TRUE(SoonUnder(folder, [&](const Store& store) {
    return CodeOf(store.Load(crash_)) == EXDEV && CodeOf(store.LoadReportHead(crash_)) == EXDEV;
  }));
  EXPECT_TRUE(SoonUnder(folder, [&](const Store& store) {
    return store.CrashesOf(crash_.day)->size() == 1 &&
           store.ReportStamps(crash_.day, std::span(&crash_, 1))->front() == ReportStamp();
  }));
  EXPECT_TRUE(SoonUnder(folder, [&](const Store& store) {
    const auto presence = store.PresenceOf(crash_);
    return presence.exists && !presence.pinned && !presence.repeated;
  }));
  EXPECT_TRUE(SoonUnder(folder, [&](const Store& store) {
    const auto removed = store.IsCoreRemoved(crash_);
    return removed && !*removed && CodeOf(store.RemoveCore(crash_, {.id = crash_.id})) == EXDEV;
  }));
  EXPECT_TRUE(SoonUnder(folder, [&](const Store& store) { return !store.RemoveIfEmptied(crash_); }));
  EXPECT_TRUE(SoonUnder(folder, [&](const Store& store) { return CodeOf(store.Remove(crash_)) == EXDEV; }));
  EXPECT_TRUE(
      SoonUnder(folder, [&](const Store& store) { return CodeOf(store.Pin(crash_, false)) == EXDEV; }));
  EXPECT_TRUE(SoonUnder(folder, [&](const Store& store) {
    return CodeOf(store.WriteReport(crash_, SampleReport(crash_.id), testing::kOwner)) == EXDEV &&
           CodeOf(store.WriteCommitNumber(crash_, 8)) == EXDEV;
  }));
}

TEST_F(HostileMountTest, OneOverAFileHoldsNobody) {
  const std::string folder = store_.PathOf(crash_) + "/";
  EXPECT_TRUE(SoonUnder(folder + kRecordFile, [&](const Store& store) {
    return CodeOf(store.Load(crash_)) == EXDEV && store.PresenceOf(crash_).exists;
  }));
  EXPECT_TRUE(SoonUnder(folder + kReportFile, [&](const Store& store) {
    return CodeOf(store.LoadReport(crash_)) == EXDEV && store.Load(crash_).has_value() &&
           store.ReportStamps(crash_.day, std::span(&crash_, 1))->front() == ReportStamp();
  }));
  EXPECT_TRUE(
      SoonUnder(folder + kPinnedFile, [&](const Store& store) { return !store.PresenceOf(crash_).pinned; }));
  EXPECT_TRUE(SoonUnder(folder + kCommitFile,
                        [&](const Store& store) { return CodeOf(store.LoadCommitNumber(crash_)) == EXDEV; }));
  EXPECT_TRUE(SoonUnder(folder + kCoreFile, [&](const Store& store) {
    return CodeOf(store.OpenFile(crash_, kCoreFile)) == EXDEV;
  }));
  EXPECT_TRUE(
      SoonUnder(folder + kCoreFile, [&](const Store& store) { return !store.RemoveIfEmptied(crash_); }));
  EXPECT_TRUE(SoonUnder(folder + kCoreFile, [&](const Store& store) {
    return !store.Remove(crash_) && CrashesOf(store).empty();
  })) << "readers see it no more, and what is left is told";
}

TEST_F(HostileMountTest, OneInThePlaceOfAFileHoldsNobodyWhoWritesIt) {
  const auto write = [&](const Store& store, std::string_view name) {
    if (name == kReportFile) return store.WriteReport(crash_, SampleReport(crash_.id), testing::kOwner);
    if (name == kRepeatsFile) return store.WriteRepeats(crash_, {.id = crash_.id, .crashes = 1});
    return store.WriteCommitNumber(crash_, 8);
  };
  for (const std::string name : {kReportFile, kRepeatsFile, kCommitFile})
    for (const std::string& there : {name, name + ".new"}) {
      const std::string place = store_.PathOf(crash_) + "/" + there;
      ASSERT_TRUE(obit::Open(place, O_WRONLY | O_CREAT, 0600));
      EXPECT_TRUE(SoonUnder(place, [&](const Store& store) { return CodeOf(write(store, name)) == EISDIR; }))
          << there;
    }
}

TEST_F(HostileMountTest, OneOverADayKeepsNobodyFromTheOthers) {
  const std::string day = store_.path() + "/crashes/" + crash_.day;
  EXPECT_TRUE(SoonUnder(day, [&](const Store& store) {
    return store.Days()->size() == 1 && store.CrashesOf(crash_.day)->empty() &&
           store.DayChanged(crash_.day) == 0;
  }));
  EXPECT_TRUE(SoonUnder(day, [&](const Store& store) { return CodeOf(store.Load(crash_)) == EXDEV; }));
  EXPECT_TRUE(SoonUnder(day, [&](const Store& store) { return store.PresenceOf(crash_).exists; }));
}

TEST_F(HostileMountTest, OneOverAFolderOfTheStoreHoldsNobody) {
  EXPECT_TRUE(SoonUnder(store_.path() + "/crashes",
                        [&](const Store&) { return CodeOf(Store::Open(store_.path())) == EXDEV; }));
  EXPECT_TRUE(SoonUnder(store_.path() + "/incoming", [&](const Store&) {
    const auto store = Store::Open(store_.path());
    return store && store->Load(crash_) && CodeOf(store->LockForServer()) == EXDEV;
  }));
}

TEST_F(HostileMountTest, OneInAnEmptiedCrashHoldsNobody) {
  const std::string folder = store_.PathOf(crash_);
  for (const char* name : {kRecordFile, kCoreFile, kReportFile, kCommitFile, kPinnedFile})
    ::unlink((folder + "/" + name).c_str());
  ASSERT_EQ(::mkdir((folder + "/own").c_str(), 0700), 0);
  EXPECT_TRUE(SoonUnder(folder + "/own", [&](const Store& store) { return store.RemoveIfEmptied(crash_); }));
}

TEST_F(HostileMountTest, TheStoreItselfMayBeAMount) {
  EXPECT_TRUE(Soon([&] {
    const std::string path = store_.path();
    if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
        ::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) < 0)
      return false;
    const auto store = Store::Open(path);
    return store && store->Load(crash_) && Commit().day == crash_.day && store->Remove(crash_);
  }));
}

TEST_F(HostileMountTest, ADayThatIsALinkIsNone) {
  const CrashLocation linked{"2026-01-02", crash_.id};
  ASSERT_EQ(::symlink(crash_.day.c_str(), (store_.path() + "/crashes/2026-01-02").c_str()), 0);
  EXPECT_TRUE(store_.CrashesOf(linked.day)->empty());
  EXPECT_FALSE(store_.Load(linked));
  EXPECT_FALSE(store_.PresenceOf(linked).pinned) << "it is another crash's";
  EXPECT_EQ(store_.ReportStamps(linked.day, std::span(&linked, 1))->front(), ReportStamp());
  const std::string other(16, '0');
  ASSERT_EQ(::symlink(crash_.id.c_str(), (store_.path() + "/crashes/" + crash_.day + "/" + other).c_str()),
            0);
  const CrashLocation renamed{crash_.day, other};
  EXPECT_FALSE(store_.PresenceOf(renamed).pinned);
  EXPECT_EQ(store_.ReportStamps(renamed.day, std::span(&renamed, 1))->front(), ReportStamp());
}

}  // namespace
}  // namespace obit
