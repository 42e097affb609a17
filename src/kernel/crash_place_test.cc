#include "kernel/crash_place.h"

#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

std::uint64_t AddressOf(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

class FilePlaceTest : public ::testing::Test {
 protected:
  /// The same, asked in both ways.
  FilePlace PlaceOf(std::uint64_t address) {
    const auto asked = FilePlaceOf(maps_, address), read = FilePlaceByText(maps_, address);
    EXPECT_THAT(asked, Succeeds());
    EXPECT_THAT(read, Succeeds());
    EXPECT_EQ(*asked, *read);
    return *asked;
  }

  Fd maps_ = *Open("/proc/self/maps", O_RDONLY);
};

TEST_F(FilePlaceTest, OfAMappedFile) {
  const Fd file = *Open("/proc/self/exe", O_RDONLY);
  struct stat status{};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  void* mapped = ::mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE, file.get(), 4096);
  ASSERT_NE(mapped, MAP_FAILED);
  const FilePlace place = PlaceOf(AddressOf(mapped) + 4100);
  EXPECT_EQ(place.inode, status.st_ino);
  EXPECT_EQ(place.offset, 4096u + 4100u);
  ::munmap(mapped, 8192);
}

TEST_F(FilePlaceTest, ElsewhereThereIsNone) {
  int on_stack = 0;
  EXPECT_EQ(PlaceOf(AddressOf(&on_stack)), FilePlace{});
  EXPECT_EQ(PlaceOf(0), FilePlace{}) << "nothing is mapped";
  EXPECT_EQ(PlaceOf(UINT64_MAX), FilePlace{});
}

TEST(CrashPlaces, OfAProcessThatDumpsNothing) {
  const Fd proc = *Open("/proc", O_RDONLY | O_DIRECTORY);
  CrashPlaces places(proc);
  EXPECT_THAT(places.Read({.pid = ::getpid()}), FailsWith(ENOENT));
  testing::Child child(::fork());
  if (child.pid() == 0) ::_exit(0);
  const pid_t pid = child.pid();
  child.Wait();
  EXPECT_THAT(places.Read({.pid = pid}), FailsWith(ENOENT));
}

}  // namespace
}  // namespace obit
