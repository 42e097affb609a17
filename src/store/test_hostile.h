#pragma once

// For tests of a store whose user is hostile, and of crashes whose owners are, as root meets them.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "store/test_owner.h"

namespace obit::testing {

inline constexpr uid_t kUser = 61000, kOwner = 61001;

class HostileStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    crash_ = Commit();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store_.path()))
      ASSERT_EQ(::lchown(entry.path().c_str(), kUser, kUser), 0);
    ASSERT_EQ(::chown(store_.path().c_str(), kUser, kUser), 0);
    ::alarm(60);  // what hangs fails
  }
  void TearDown() override { ::alarm(0); }

  [[nodiscard]] CrashLocation Commit() { return CommitOf(store_, kOwner, false); }

  /// True if root can, in a child, which is ended if it hangs.
  [[nodiscard]] static bool Soon(const std::function<bool()>& what) {
    Child child(::fork());
    if (child.pid() == 0) {
      ::alarm(20);
      ::_exit(what() ? 0 : 1);
    }
    return child.Wait() == 0;
  }

  [[nodiscard]] static bool Exists(const std::string& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0;
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  CrashLocation crash_;
};

}  // namespace obit::testing
