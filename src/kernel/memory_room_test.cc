#include "kernel/memory_room.h"

#include <filesystem>
#include <fstream>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::TemporaryFolder;

class MemoryRoomTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  [[nodiscard]] Fd Folder() const { return *Open(folder_ / ".", O_RDONLY | O_DIRECTORY); }
  TemporaryFolder folder_;
};

TEST_F(MemoryRoomTest, TheNarrowestOfAllCgroupsCounts) {
  Write("cgroup.controllers", "cpu memory\n");
  Write("system.slice/memory.max", "max\n");
  Write("system.slice/memory.current", "700\n");
  Write("system.slice/shop.service/memory.max", "5000\n");
  Write("system.slice/shop.service/memory.current", "4000\n");
  const std::string told = "0::/system.slice/shop.service\n";
  EXPECT_EQ(RoomInCgroup(Folder(), told), 1000u);
  Write("system.slice/memory.max", "900\n");
  EXPECT_EQ(RoomInCgroup(Folder(), told), 200u);
  Write("system.slice/memory.current", "1000\n");
  EXPECT_EQ(RoomInCgroup(Folder(), told), 0u);
  EXPECT_EQ(RoomInCgroup(Folder(), "0::/\n"), UINT64_MAX);
  EXPECT_EQ(RoomInCgroup(Folder(), "0::/user.slice/session\n"), UINT64_MAX) << "which has no limit";
}

TEST_F(MemoryRoomTest, OfVersion1) {
  Write("memory/docker/c0ffee/memory.limit_in_bytes", "9223372036854771712\n");
  Write("memory/docker/c0ffee/memory.usage_in_bytes", "5000\n");
  Write("memory/docker/memory.limit_in_bytes", "7000\n");
  Write("memory/docker/memory.usage_in_bytes", "6000\n");
  EXPECT_EQ(RoomInCgroup(Folder(), "9:name=systemd:/\n4:cpu,memory:/docker/c0ffee\n0::/\n"), 1000u);
}

TEST_F(MemoryRoomTest, IsNotGuessed) {
  EXPECT_EQ(RoomInCgroup(Folder(), "0::/a\n"), std::nullopt) << "no such hierarchy";
  Write("cgroup.controllers", "");
  EXPECT_EQ(RoomInCgroup(Folder(), "4:memory:/a\n"), std::nullopt);
  EXPECT_EQ(RoomInCgroup(Folder(), "0::/../a/../b\n"), std::nullopt) << "of another namespace";
}

TEST_F(MemoryRoomTest, TheCommitLimitCountsWhereItIsOne) {
  Write("meminfo", "MemTotal:  100 kB\nCommitLimit:      3000 kB\nCommitted_AS:   1000 kB\n");
  Write("sys/vm/overcommit_memory", "0\n");
  EXPECT_EQ(RoomToCommit(Folder()), UINT64_MAX);
  Write("sys/vm/overcommit_memory", "2\n");
  EXPECT_EQ(RoomToCommit(Folder()), 2000u << 10);
  Write("meminfo", "MemTotal:  100 kB\n");
  EXPECT_EQ(RoomToCommit(Folder()), std::nullopt);
}

TEST(MemoryRoom, OfThisHost) { EXPECT_TRUE(RoomToCommit(*Open("/proc", O_RDONLY | O_DIRECTORY))); }

}  // namespace
}  // namespace obit
