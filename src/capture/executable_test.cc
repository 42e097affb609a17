#include "capture/executable.h"

#include <sys/stat.h>

#include "base/io.h"
#include "base/test_support.h"
#include "crash/exe_file.h"
#include "store/store.h"

namespace obit {
namespace {

using testing::Succeeds;
using testing::TemporaryFolder;

class KeepExecutableTest : public ::testing::Test {
 protected:
  KeepExecutableTest() { record_.files.core = kCoreFile; }
  void Keep(const Fd& exe, bool reachable, std::chrono::seconds patience = kExecutablePatience) {
    KeepExecutable(exe, reachable, folder_.fd(), {}, record_, patience);
  }
  [[nodiscard]] bool IsThere() const {
    struct stat status{};
    return ::stat((folder_ / kExeFile).c_str(), &status) == 0;
  }

  Fd exe_ = *Open("/proc/self/exe", O_RDONLY);
  TemporaryFolder folder_;
  CrashRecord record_;
};

TEST_F(KeepExecutableTest, CopiesWhatHasNoNameOnThisHost) {
  Keep(exe_, false);
  EXPECT_EQ(record_.files.exe, kExeFile);
  EXPECT_EQ(record_.capture.exe_reason, "");
  EXPECT_TRUE(record_.process.exe_file);
  EXPECT_TRUE(IsThere());
}

TEST_F(KeepExecutableTest, CopiesNothingThatIsReachableOrHasNoCore) {
  Keep(exe_, true);
  record_.files.core.clear();
  Keep(exe_, false);
  EXPECT_EQ(record_.files.exe, "");
  EXPECT_EQ(record_.capture.exe_reason, "");
  EXPECT_FALSE(IsThere());
}

TEST_F(KeepExecutableTest, GivesUpWhatTakesTooLong) {
  Keep(exe_, false, std::chrono::seconds(0));
  EXPECT_EQ(record_.files.exe, "");
  EXPECT_EQ(record_.capture.exe_reason, "it took longer than 0 s");
  EXPECT_FALSE(IsThere());
}

TEST_F(KeepExecutableTest, SaysThatAProgramIsTooLarge) {
  const Fd large = *Open(folder_ / "large", O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::ftruncate(large.get(), (off_t{512} << 20) + 1), 0);
  Keep(large, false);
  EXPECT_EQ(record_.files.exe, "");
  EXPECT_EQ(record_.capture.exe_reason, "it is larger than 512 MiB");
}

}  // namespace
}  // namespace obit
