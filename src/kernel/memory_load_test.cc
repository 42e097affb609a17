#include "kernel/memory_load.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "base/io.h"

namespace obit {
namespace {

constexpr std::string_view kPressure =
    "some avg10=12.34 avg60=1.00 avg300=0.10 total=59125\n"
    "full avg10=99.00 avg60=0.50 avg300=0.05 total=42\n";
constexpr std::string_view kMeminfo =
    "MemTotal:       24573456 kB\nMemFree:          100000 kB\nMemAvailable:     204800 kB\nCached: 5 kB\n";

TEST(ParseMemoryLoad, TakesTheLastTenSecondsAndWhatIsAvailable) {
  const MemoryLoad load = ParseMemoryLoad(kPressure, kMeminfo);
  EXPECT_EQ(load.pressure, 1234u);
  EXPECT_EQ(load.total, std::uint64_t{24'573'456} << 10);
  EXPECT_EQ(load.available, std::uint64_t{204'800} << 10);
}

TEST(ParseMemoryLoad, WhatIsNotThereIsNotKnown) {
  EXPECT_EQ(ParseMemoryLoad("", ""), MemoryLoad{});
  EXPECT_EQ(ParseMemoryLoad("", "MemTotal: 100 kB\n"), MemoryLoad{}) << "of a kernel before 3.14";
  for (const char* text : {"full avg10=1.00 total=2\n", "some avg60=1.00\n", "some avg10=1 avg60=2\n",
                           "some avg10=1.0 \n", "some avg10=101.00 \n", "some avg10=-1.00 \n"})
    EXPECT_EQ(ParseMemoryLoad(text, "").pressure, std::nullopt) << text;
}

TEST(ReadMemoryLoad, OfThisKernel) {
  const MemoryLoad load = ReadMemoryLoad(*Open("/proc", O_RDONLY | O_DIRECTORY));
  EXPECT_GT(load.total, load.available);
  EXPECT_GT(load.available, 0u);
  if (const auto text = ReadFile("/proc/pressure/memory", 512)) EXPECT_TRUE(load.pressure) << text->text;
}

}  // namespace
}  // namespace obit
