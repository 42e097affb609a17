#include "kernel/mapped_files.h"

#include <algorithm>

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::ExecuteStopped;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

/// What /proc has of a process.
Fd ProcOf(const std::string& pid) { return *Open("/proc/" + pid, O_RDONLY | O_DIRECTORY); }

/// True if one of `files` is what `path` names.
bool Contains(const std::vector<MappedFile>& files, const std::string& path) {
  struct stat named{};
  EXPECT_EQ(::stat(path.c_str(), &named), 0) << path;
  return std::ranges::any_of(files, [&](const MappedFile& mapped) {
    struct stat opened{};
    return ::fstat(mapped.file.get(), &opened) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
  });
}

/// Maps a page of `file` with these rights.
void* Map(const std::string& file, int protection) {
  const Fd fd = *Open(file, O_RDONLY);
  void* page = ::mmap(nullptr, 4096, protection, MAP_PRIVATE, fd.get(), 0);
  EXPECT_NE(page, MAP_FAILED);
  return page;
}

/// Gives up what map_files asks for.
void DropRights() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  ::syscall(SYS_capget, &header, data);
  for (const int capability : {CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE})
    data[capability / 32].effective &= ~(1U << (capability % 32));
  ::syscall(SYS_capset, &header, data);
}

class MappedFilesTest : public ::testing::Test {
 protected:
  MappedFilesTest() {
    for (const char* name : {"code", "data", "deleted"})
      EXPECT_TRUE(WriteFileAtomically(folder_.fd(), name, std::string(4096, 'x'), 0700));
  }
  TemporaryFolder folder_;
};

TEST_F(MappedFilesTest, AreTheFilesWithCode) {
  void* code = Map(folder_ / "code", PROT_READ | PROT_EXEC);
  void* again = Map(folder_ / "code", PROT_READ | PROT_EXEC);
  void* data = Map(folder_ / "data", PROT_READ);
  const auto files = OpenMappedFiles(ProcOf("self"));
  ASSERT_THAT(files, Succeeds());
  EXPECT_TRUE(Contains(*files, folder_ / "code"));
  EXPECT_TRUE(Contains(*files, "/proc/self/exe"));
  EXPECT_FALSE(Contains(*files, folder_ / "data"));
  const auto first = reinterpret_cast<std::uintptr_t>(std::min(code, again));
  EXPECT_EQ(std::ranges::count(*files, first, &MappedFile::begin), 1);
  const auto second = reinterpret_cast<std::uintptr_t>(std::max(code, again));
  EXPECT_EQ(std::ranges::count(*files, second, &MappedFile::begin), 0) << "each file once";
  for (const MappedFile& mapped : *files) {
    EXPECT_FALSE(::fcntl(mapped.file.get(), F_GETFL) & O_PATH) << "all on local file systems";
    EXPECT_TRUE(::fcntl(mapped.file.get(), F_GETFD) & FD_CLOEXEC);
  }
  for (void* page : {code, again, data}) ::munmap(page, 4096);
}

TEST_F(MappedFilesTest, AreTheSameWhateverBecameOfTheirNames) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: /proc/PID/map_files needs rights";
  void* page = Map(folder_ / "deleted", PROT_READ | PROT_EXEC);
  ASSERT_EQ(::rename((folder_ / "deleted").c_str(), (folder_ / "elsewhere").c_str()), 0);
  ASSERT_TRUE(WriteFileAtomically(folder_.fd(), "deleted", "another", 0700));
  const auto files = OpenMappedFiles(ProcOf("self"));
  ASSERT_THAT(files, Succeeds());
  EXPECT_TRUE(Contains(*files, folder_ / "elsewhere"));
  EXPECT_FALSE(Contains(*files, folder_ / "deleted"));
  ::munmap(page, 4096);
}

TEST_F(MappedFilesTest, AreFoundByNameWithoutTheRight) {
  void* code = Map(folder_ / "code", PROT_READ | PROT_EXEC);
  void* page = Map(folder_ / "deleted", PROT_READ | PROT_EXEC);
  ASSERT_TRUE(WriteFileAtomically(folder_.fd(), "deleted", "another", 0700));
  Child child(::fork());
  if (child.pid() == 0) {
    DropRights();
    const auto files = OpenMappedFiles(ProcOf("self"));
    if (!files) ::_exit(1);
    if (!Contains(*files, folder_ / "code")) ::_exit(2);
    if (!Contains(*files, "/proc/self/exe")) ::_exit(3);
    ::_exit(Contains(*files, folder_ / "deleted") ? 4 : 0);  // that is another file
  }
  EXPECT_EQ(child.Wait(), 0);
  for (void* mapped : {code, page}) ::munmap(mapped, 4096);
}

TEST_F(MappedFilesTest, OfAnotherProcess) {
  const Child child = ExecuteStopped("/bin/sleep", {"sleep", "1000"});
  const auto files = OpenMappedFiles(ProcOf(std::to_string(child.pid())));
  ASSERT_THAT(files, Succeeds());
  EXPECT_TRUE(Contains(*files, "/bin/sleep"));
}

}  // namespace
}  // namespace obit
