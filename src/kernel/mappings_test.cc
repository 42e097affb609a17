#include "kernel/mappings.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

TEST(Mappings, OfMaps) {
  const auto mappings = ParseMappings(
      "55d0a8c00000-55d0a8c02000 r-xp 00001000 fe:00 131077                     /usr/bin/a b\n"
      "7f6e00000000-7f6e00021000 rw-p 00000000 00:00 0 \n"
      "7f6e10000000-7f6e10001000 rw-s 00000000 00:01 2057                       /memfd:x (deleted)\n"
      "7ffc1c5f2000-7ffc1c613000 rw-p 00000000 00:00 0                          [stack]\n"
      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n");
  ASSERT_THAT(mappings, Succeeds());
  ASSERT_EQ(mappings->size(), 5u);
  EXPECT_EQ((*mappings)[0].begin, 0x55d0a8c00000u);
  EXPECT_EQ((*mappings)[0].end, 0x55d0a8c02000u);
  EXPECT_EQ((*mappings)[0].device_major, 0xfeu);
  EXPECT_EQ((*mappings)[0].device_minor, 0u);
  EXPECT_TRUE((*mappings)[0].executable);
  EXPECT_EQ((*mappings)[0].inode, 131077u);
  EXPECT_EQ((*mappings)[0].offset, 0x1000u);
  EXPECT_EQ((*mappings)[0].name, "/usr/bin/a b");
  EXPECT_FALSE((*mappings)[0].shared);
  EXPECT_EQ((*mappings)[1].name, "");
  EXPECT_EQ((*mappings)[1].inode, 0u);
  EXPECT_TRUE((*mappings)[2].shared);
  EXPECT_EQ((*mappings)[2].device_major, 0u);
  EXPECT_EQ((*mappings)[2].device_minor, 1u);
  EXPECT_FALSE((*mappings)[2].executable);
  EXPECT_EQ((*mappings)[3].name, "[stack]");
  EXPECT_EQ((*mappings)[4].begin, 0xffffffffff600000u);
}

TEST(Mappings, OfSmapsWithItsFlags) {
  const auto mappings = ParseMappings(
      "7f00-8f00 rw-s 00000000 00:01 5       /dev/zero (deleted)\n"
      "Size:                  4 kB\n"
      "ProtectionKey:         0\n"
      "VmFlags: rd wr sh mr mw me ms um sd \n"
      "9000-a000 rw-p 00000000 00:00 0 \n"
      "VmFlags: rd wr mr mw me ac \n");
  ASSERT_THAT(mappings, Succeeds());
  ASSERT_EQ(mappings->size(), 2u);
  EXPECT_TRUE((*mappings)[0].user_faults);
  EXPECT_FALSE((*mappings)[1].user_faults);
}

TEST(Mappings, RefusesWhatIsNoMaps) {
  for (const char* text :
       {"x\n", "7f00-7e00 rw-p 0 00:00 0\n", "7f00 rw-p 0 00:00 0\n", "7f00-8f00 rw-p 0 00 0\n",
        "7f00-8f00 rw 0 00:00 0\n", "Size: 4 kB\n", "7f00-8f00 rw-p 0 00:00 -1\n"})
    EXPECT_THAT(ParseMappings(text), FailsWith(EBADMSG)) << text;
  EXPECT_TRUE(ParseMappings("")->empty());
}

TEST(Mappings, FindsByAddress) {
  const auto mappings = *ParseMappings("1000-3000 rw-p 0 00:00 0\n5000-6000 rw-p 0 00:00 0 x\n");
  EXPECT_EQ(FindMapping(mappings, 0xfff), nullptr);
  EXPECT_EQ(FindMapping(mappings, 0x1000), &mappings[0]);
  EXPECT_EQ(FindMapping(mappings, 0x2fff), &mappings[0]);
  EXPECT_EQ(FindMapping(mappings, 0x3000), nullptr);
  EXPECT_EQ(FindMapping(mappings, 0x5fff), &mappings[1]);
  EXPECT_EQ(FindMapping(mappings, 0x6000), nullptr);
}

TEST(Mappings, OfThisProcess) {
  for (const char* file : {"/proc/self/maps", "/proc/self/smaps"}) {
    const auto mappings = ReadMappings(*Open(file, O_RDONLY));
    ASSERT_THAT(mappings, Succeeds()) << file;
    const int local = 0;
    const Mapping* stack = FindMapping(*mappings, reinterpret_cast<std::uintptr_t>(&local));
    ASSERT_NE(stack, nullptr);
    EXPECT_EQ(stack->name, "[stack]");
  }
}

}  // namespace
}  // namespace obit
