#include "render/report_sections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace obit {
namespace {

using ::testing::HasSubstr;

Report Sample() {
  Report report;
  report.modules = {{.path = "/usr/bin/imgproxy",
                     .build_id = "c0ffee",
                     .begin = 0x400000,
                     .package = "imgproxy 2.1-3",
                     .symbols = "module",
                     .lines = true},
                    {.path = "/lib/libold.so.1", .begin = 0x7f0000000000, .problem = "replaced since"}};
  Frame frame{.pc = 0x401136, .function = "epoll_wait"};
  frame.module = 1;
  frame.module_offset = 0x1136;
  report.stacks = {{{1}, {frame}}, {{2}, {frame}}, {{3, 4, 5, 6, 7, 8, 9, 10, 11}, {frame}}};
  report.registers = {{"rdi", 0}, {"rsi", 0x7f1c0400b2e0, "heap"}};
  report.memory = {{"pc", 0x401130, std::string("\x48\x8b\0zH\xff", 6) + std::string(12, 'a')},
                   {"sp", 0, ""}};
  report.mappings = {{0x400000, 0x402000, "r-x", "/usr/bin/imgproxy"}};
  report.mappings_total = 5000;
  return report;
}

TEST(RenderOtherThreads, HasAllButTheFirst) {
  CrashRecord record;
  record.thread_names = {{1, "main"}, {2, "logger"}, {4, "worker-2"}};
  EXPECT_EQ(RenderOtherThreads(Sample(), record, {}),
            "Thread 2 \"logger\"\n"
            "  #0  epoll_wait  libold.so.1 +0x1136\n"
            "\n"
            "9 threads alike: 3, 4 \"worker-2\", 5, 6, 7, 8, 9, 10, ...\n"
            "  #0  epoll_wait  libold.so.1 +0x1136\n");
}

TEST(RenderRegisters, HasRegistersAndMemory) {
  EXPECT_EQ(RenderRegisters(Sample(), {}),
            "Registers\n"
            "  rdi  0x0000000000000000\n"
            "  rsi  0x00007f1c0400b2e0  heap\n"
            "\n"
            "Memory around pc\n"
            "  0x401130  48 8b 00 7a 48 ff 61 61 61 61 61 61 61 61 61 61  |H..zH.aaaaaaaaaa|\n"
            "  0x401140  61 61                                            |aa|\n");
}

TEST(RenderHexDump, IsNarrowWhereTheTerminalIs) {
  EXPECT_EQ(RenderHexDump(0xfff8, "0123456789", {.width = 60}),
            "   0xfff8  30 31 32 33 34 35 36 37  |01234567|\n"
            "  0x10000  38 39                    |89|\n");
}

TEST(RenderModules, TellsWhereNamesCameFrom) {
  EXPECT_EQ(RenderModules(Sample(), {}),
            "Modules\n"
            "           BEGIN  MODULE             PACKAGE         SYMBOLS        NOTE            BUILD-ID\n"
            "        0x400000  /usr/bin/imgproxy  imgproxy 2.1-3  module, lines                  c0ffee\n"
            "  0x7f0000000000  /lib/libold.so.1                   none           replaced since\n");
}

TEST(RenderMappings, SaysHowManyMoreThereWere) {
  EXPECT_EQ(RenderMappings(Sample(), {}),
            "Mappings\n"
            "     BEGIN       END  ACCESS     SIZE  NAME\n"
            "  0x400000  0x402000  r-x     8.0 KiB  /usr/bin/imgproxy\n"
            "  ... 4999 more\n");
}

TEST(ReportSections, AreEmptyWhereThereIsNothing) {
  const Report none;
  EXPECT_EQ(RenderOtherThreads(none, {}, {}) + RenderRegisters(none, {}) + RenderModules(none, {}) +
                RenderMappings(none, {}),
            "");
}

TEST(ReportSections, NothingOfTheProcessReachesTheTerminalUnescaped) {
  const std::string evil = "\x1b]0;x\a\n\u202e";
  CrashRecord record;
  record.thread_names[2] = evil;
  Report report = Sample();
  for (Module& module : report.modules)
    module.path = module.build_id = module.package = module.symbols = module.problem = evil;
  report.registers = {{evil, 1, evil}};
  report.memory = {{evil, UINT64_MAX - 4, evil}};
  report.mappings = {{5, 4, evil, evil}};
  for (const std::size_t width : {0, 40, 80}) {
    const Terminal terminal{.width = width};
    const std::string text = RenderOtherThreads(report, record, terminal) +
                             RenderRegisters(report, terminal) + RenderModules(report, terminal) +
                             RenderMappings(report, terminal);
    for (const char* bad : {"\x1b", "\a", "\u202e"}) EXPECT_EQ(text.find(bad), std::string::npos);
  }
}

}  // namespace
}  // namespace obit
