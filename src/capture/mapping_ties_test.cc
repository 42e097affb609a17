#include "capture/mapping_ties.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "base/io.h"

namespace obit {
namespace {

using ::testing::HasSubstr;

constexpr dev_t kMemory = 1;  // major 0, minor 1

std::vector<Mapping> One(const std::string& name, std::uint64_t inode = 7, std::uint32_t major = 8) {
  return {{.begin = 0x1000,
           .end = 0x3000,
           .device_major = major,
           .device_minor = 1,
           .inode = inode,
           .name = name}};
}
std::string TieOf(const std::vector<Mapping>& mappings, const MemoryTies& ties = {}) {
  return FindMappingTies(mappings, ties, kMemory, 4711).tied;
}

TEST(FindMappingTies, OrdinaryMappingsTieUpNothing) {
  for (const char* name : {"/usr/lib/libc.so.6", "[heap]", "[stack]", "", "/dev/zero (deleted)", "/dev/shm/a",
                           "/memfd:a (deleted)", "/srv/socket:1"})
    EXPECT_EQ(TieOf(One(name)), "") << name;
}

TEST(FindMappingTies, TellsEachKind) {
  EXPECT_EQ(TieOf(One("anon_inode:[io_uring]")), "anon_inode:[io_uring] is mapped");
  EXPECT_EQ(TieOf(One("socket:[17]")), "socket:[17] is mapped");
  EXPECT_THAT(TieOf(One("/SYSV00000000 (deleted)")), HasSubstr("System V"));
  EXPECT_THAT(TieOf(One("/[aio] (deleted)")), HasSubstr("aio"));
  EXPECT_EQ(TieOf(One("/dev/nvidia0")), "the device /dev/nvidia0 is mapped");
  EXPECT_THAT(TieOf(One("/anon_hugepage (deleted)", 7, 0)), HasSubstr("huge pages"));
}

TEST(FindMappingTies, WholeHugePagesOfAFileSystemWithoutADeviceMayBeSuch) {
  std::vector<Mapping> mappings = One("/mnt/huge/pool", 7, 0);
  mappings[0].device_minor = 50;
  EXPECT_EQ(TieOf(mappings), "");
  mappings[0].begin = 2 << 20, mappings[0].end = 4 << 20;
  EXPECT_THAT(TieOf(mappings), HasSubstr("huge pages"));
  mappings[0].device_minor = 1;
  EXPECT_EQ(TieOf(mappings), "") << "memory as any other";
}

TEST(FindMappingTies, ALockCountsIfItsFileIsMapped) {
  const MemoryTies ties{.locked = {{8, 1, 131}}};
  EXPECT_EQ(TieOf(One("/run/lock/a", 130), ties), "");
  EXPECT_EQ(TieOf(One("/run/lock/a", 131), ties), "/run/lock/a is mapped and locked");
  EXPECT_EQ(TieOf(One("/tmp/hsperfdata_root/4711 (deleted)", 131), ties), "");
  EXPECT_NE(TieOf(One("/tmp/hsperfdata_root/1", 131), ties), "") << "the next one has the same pid";
}

TEST(FindMappingTies, WhatTheTiesSayComesFirst) {
  const MemoryTies ties{.hold = "process 3 has the same memory"};
  EXPECT_EQ(TieOf(One("/dev/nvidia0"), ties), "process 3 has the same memory");
}

TEST(FindMappingTies, SharedMemoryIsToldByItsDevice) {
  std::vector<Mapping> mappings = One("/dev/zero (deleted)", 7, 0);
  mappings[0].shared = true;
  mappings.push_back({.begin = 0x5000, .end = 0x6000, .shared = true, .device_major = 0, .device_minor = 44});
  const auto shared = FindMappingTies(mappings, {}, kMemory, 4711).shared;
  ASSERT_EQ(shared.size(), 2U);
  EXPECT_TRUE(shared[0].is_memory);
  EXPECT_FALSE(shared[1].is_memory);
  mappings[1].name = "/tmp/hsperfdata_root/4711 (deleted)";
  EXPECT_EQ(FindMappingTies(mappings, {}, kMemory, 4711).shared.size(), 1U) << "nobody else writes there";
}

TEST(MemoryDevice, IsThatOfSharedAnonymousMemory) {
  void* shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const auto maps = *ReadMappings(*Open("/proc/self/maps", O_RDONLY));
  const Mapping* found = FindMapping(maps, reinterpret_cast<std::uintptr_t>(shared));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(::makedev(found->device_major, found->device_minor), MemoryDevice());
  ::munmap(shared, 4096);
}

}  // namespace
}  // namespace obit
