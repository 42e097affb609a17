#include "kernel/memory_outlook.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

Fd MemoryFileOf(std::string_view text) {
  Fd file(::memfd_create("text", MFD_CLOEXEC));
  EXPECT_TRUE(WriteAllAt(file, std::as_bytes(std::span(text)), 0));
  return file;
}

Fd Proc() { return *Open("/proc", O_RDONLY | O_DIRECTORY); }

MemoryOutlook Outlook() {
  return {.ties = {.locked = {{8, 1, 131}, {0, 42, 7}},
                   .robust_lists = {0x7f00'0000'1000, 0x10},
                   .hold = "because"},
          .host = {.pressure = {}, .total = 16, .available = 9},
          .room_in_cgroup = 5,
          .room_to_commit = {},
          .meminfo = {},
          .pressure = {}};
}

TEST(EncodeMemoryOutlook, IsDecodedAsItWas) {
  const std::string bytes = EncodeMemoryOutlook(Outlook());
  const auto decoded = DecodeMemoryOutlook(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->ties.locked, Outlook().ties.locked);
  EXPECT_EQ(decoded->ties.robust_lists, Outlook().ties.robust_lists);
  EXPECT_EQ(decoded->ties.hold, "because");
  EXPECT_EQ(decoded->host, Outlook().host);
  EXPECT_EQ(decoded->room_in_cgroup, 5u);
  EXPECT_EQ(decoded->room_to_commit, std::nullopt);
}

TEST(EncodeMemoryOutlook, WhatIsCutIsNone) {
  const std::string bytes = EncodeMemoryOutlook(Outlook());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(DecodeMemoryOutlook(std::as_bytes(std::span(bytes)).first(n))) << n;
  const std::string longer = bytes + "x";
  EXPECT_FALSE(DecodeMemoryOutlook(std::as_bytes(std::span(longer))));
}

TEST(EncodeMemoryOutlook, MoreTiesThanItHasRoomForAreAReasonToHold) {
  MemoryOutlook outlook = Outlook();
  outlook.ties.hold.clear();
  outlook.ties.locked.resize(MemoryTies::kLockedMax + 1);
  const std::string bytes = EncodeMemoryOutlook(outlook);
  EXPECT_LE(bytes.size(), kEncodedOutlookMax);
  EXPECT_EQ(DecodeMemoryOutlook(std::as_bytes(std::span(bytes)))->ties.hold, "it has too many ties");
}

TEST(ReadMemoryOutlook, OfThisHost) {
  const Fd proc = Proc(), none, self = *OpenAt(proc, "self", O_RDONLY | O_DIRECTORY);
  const MemoryOutlook outlook =
      ReadMemoryOutlook({.proc = proc, .cgroups = none, .process = self}, ::getpid(), ::getppid());
  EXPECT_GT(outlook.host.total, outlook.host.available);
  EXPECT_TRUE(outlook.room_to_commit);
  EXPECT_FALSE(outlook.room_in_cgroup) << "there is nothing to tell it by";
  EXPECT_FALSE(MemoryWatch(outlook.meminfo, outlook.pressure).IsShort(1));
}

TEST(ParsePressureTotal, TakesThatOfSome) {
  EXPECT_EQ(ParsePressureTotal("some avg10=0.00 avg60=1.00 avg300=0.00 total=123\nfull total=9\n"), 123u);
  EXPECT_EQ(ParsePressureTotal("full avg10=0.00 avg60=1.00 avg300=0.00 total=123\n"), std::nullopt);
  EXPECT_EQ(ParsePressureTotal("some avg10=0.00\nfull total=9\n"), std::nullopt);
}

TEST(MemoryWatch, SeesWhenLittleIsLeft) {
  const Fd plenty = MemoryFileOf("MemTotal: 1000 kB\nMemAvailable: 50 kB\n"),
           little = MemoryFileOf("MemTotal: 1000 kB\nMemAvailable: 49 kB\n"), none;
  EXPECT_FALSE(MemoryWatch(plenty, none).IsShort(1));
  EXPECT_TRUE(MemoryWatch(little, none).IsShort(1));
}

class PressureTest : public ::testing::Test {
 protected:
  /// What it sees of so much waiting, us, in each of the next seconds.
  bool Sees(const Fd& meminfo, std::initializer_list<int> waited) {
    MemoryWatch watch(meminfo, pressure_);
    bool is_short = false;
    std::int64_t now = 1'000'000'000;
    int total = 1'000'000;
    for (const int us : waited) {
      total += us;
      const std::string text = fmt::format("some total={}\n", total);
      EXPECT_TRUE(WriteAllAt(pressure_, std::as_bytes(std::span(text)), 0));
      is_short = watch.IsShort(now);
      now += 1'000'000'000;
    }
    return is_short;
  }
  Fd pressure_ = MemoryFileOf("");
  const Fd little_ = MemoryFileOf("MemTotal: 1000 kB\nMemAvailable: 190 kB\n");
};

TEST_F(PressureTest, CountsWhereTheHostHasLittle) {
  EXPECT_FALSE(Sees(little_, {500'000})) << "it does not know since when";
  EXPECT_FALSE(Sees(little_, {0, 99'999}));
  EXPECT_TRUE(Sees(little_, {0, 100'000}));
}

TEST_F(PressureTest, OthersMayWaitWithinTheirLimits) {
  EXPECT_FALSE(Sees(MemoryFileOf("MemTotal: 1000 kB\nMemAvailable: 900 kB\n"), {0, 900'000}));
}

}  // namespace
}  // namespace obit
