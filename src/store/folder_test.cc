#include "store/folder.h"

#include <cstdio>
#include <filesystem>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/test_failing_calls.h"
#include "store/removal.h"
#include "store/test_disk.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::CommitCrash;
using testing::DiskFault;
using testing::FailCalls;
using testing::SampleRecord;
using testing::TemporaryFolder;
using testing::WhereCallsFail;

/// Renames with flags, as on NFS.
bool NoFlags() {
  return FailCalls({.number = SYS_renameat2, .argument = 4, .mask = RENAME_NOREPLACE}, EINVAL);
}

class FolderTest : public ::testing::Test {
 protected:
  [[nodiscard]] bool Exists(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
  void Make(const std::string& path) const { std::filesystem::create_directories(folder_ / path); }
  [[nodiscard]] int Move(const std::string& from, const std::string& to) const {
    const auto moved = MoveFolder(folder_.fd(), from, folder_.fd(), to);
    return moved ? 0 : moved.error().code;
  }

  TemporaryFolder folder_;
};

TEST_F(FolderTest, MovesWhereTheFileSystemKnowsNoFlagsOfRenames) {
  Make("a/core");
  EXPECT_TRUE(WhereCallsFail(NoFlags, [&] { return Move("a", "b") == 0; }));
  EXPECT_TRUE(Exists("b/core"));
  EXPECT_FALSE(Exists("a"));
}

TEST_F(FolderTest, ReplacesNothingThereEither) {
  Make("a/core");
  Make("empty");
  Make("full/core");
  {
    const Fd file = *OpenAt(folder_.fd(), "file", O_WRONLY | O_CREAT, 0600);
  }
  ASSERT_EQ(::symlinkat("nowhere", folder_.fd().get(), "link"), 0);
  for (const char* there : {"empty", "full", "file", "link"})
    EXPECT_TRUE(WhereCallsFail(NoFlags, [&] { return Move("a", there) == EEXIST; })) << there;
  EXPECT_TRUE(WhereCallsFail(NoFlags, [&] { return Move("file", "new") == ENOTDIR; }));
  EXPECT_TRUE(WhereCallsFail(NoFlags, [&] { return Move("gone", "new") == ENOENT; }));
  EXPECT_TRUE(Exists("a/core"));
}

TEST_F(FolderTest, ACrashIsCommittedAndRemovedThere) {
  const Store store = Store::Create(folder_ / "store").value();
  EXPECT_TRUE(WhereCallsFail(NoFlags, [&] {
    const CrashLocation made = CommitCrash(store, SampleRecord());
    std::filesystem::create_directories(store.PathOf(made) + "/deep/er");
    return store.Load(made) && store.Remove(made) && !store.Load(made);
  }));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "store/incoming"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "store/crashes"));
}

TEST_F(FolderTest, WhatCannotBeLookedAtIsNotTakenForRemoved) {
  const Store store = Store::Create(folder_ / "store").value();
  const CrashLocation crash = CommitCrash(store, SampleRecord());
  const std::string folder = store.PathOf(crash) + "/";
  ASSERT_EQ(::rename((folder + kRecordFile).c_str(), (folder + kExeFile).c_str()), 0);  // all that is left
  for (const int error : {EIO, ENOMEM, EACCES, ESTALE}) {
    const DiskFault fault({.unopened = kExeFile, .open_error = error});
    EXPECT_FALSE(store.RemoveIfEmptied(crash)) << error;
  }
  EXPECT_TRUE(std::filesystem::exists(folder + kExeFile));
}

}  // namespace
}  // namespace obit
