#include "render/record_page.h"

#include <csignal>
#include <cstdlib>
#include <ctime>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace obit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kSecond = 1'000'000'000;

CrashRecord Sample() {
  CrashRecord record;
  record.id = "3f9c2a71b04d6e58";
  record.time = 1'795'442'531 * kSecond;
  record.host = {"web1", "6.18.44", "b"};
  record.process.pid = 48213;
  record.process.parent = 1;
  record.process.comm = "imgproxy";
  record.process.exe = "/usr/bin/imgproxy";
  record.process.exe_build_id = "c0ffee";
  record.process.cmdline = {"imgproxy", "--title", "a b"};
  record.process.cwd = "/srv";
  record.process.root = "/";
  record.process.cgroup = "/system.slice/imgproxy.service";
  record.process.uid = 0;
  record.process.euid = 0;
  record.process.threads = 17;
  record.process.core_limit = UINT64_MAX;
  record.process.started = record.time - 3723 * kSecond;
  record.process.pid_namespace = "pid:[1]";
  record.process.mount_namespace = "mnt:[2]";
  record.thread = {48219, "worker-3", 0x401000, 0x7ffe0000};
  record.signal = {.number = SIGSEGV, .code = 1, .address = 0x18};
  record.capture.transport = "socket-request";
  record.capture.method = CaptureMethod::kStream;
  record.capture.outcome = CrashOutcome::kFull;
  record.capture.core_bytes = 1 << 30;
  record.capture.stored_bytes = 58 << 20;
  record.capture.held_seconds = 1.61;
  record.files.core = "core.zst";
  return record;
}

PageContext Context() {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  PageContext context;
  context.now = Sample().time;
  context.folder = "/var/lib/obit/crashes/2026-11-23/3f9c2a71b04d6e58";
  context.pid_namespace = "pid:[1]";
  context.mount_namespace = "mnt:[1]";
  return context;
}

TEST(RecordPage, SaysAllThatIsKnown) {
  EXPECT_EQ(RenderRecordPage(Sample(), Context()),
            R"(imgproxy died of SIGSEGV today at 14:02:11

  Signal      SIGSEGV (SEGV_MAPERR) at address 0x18
  Process     48213, parent 1, 17 threads
  Thread      48219 "worker-3", pc 0x401000, sp 0x7ffe0000
  Program     /usr/bin/imgproxy, build-id c0ffee
  Command     imgproxy --title 'a b'
  User        root (0)
  Folder      /srv
  Namespaces  mnt:[2]
  Belongs to  unit imgproxy.service
  Cgroup      /system.slice/imgproxy.service
  Started     today 13:00:08, was up 1 h 2 min
  Limit       core size unlimited
  Host        web1, Linux 6.18.44
  Core        full: 1.0 GiB in 58 MiB, by stream over socket-request; held for 1.61 s
  Files       /var/lib/obit/crashes/2026-11-23/3f9c2a71b04d6e58: crash.json, core.zst
  Id          3f9c2a71b04d6e58

  Next        obit gdb 3f9c2a71 · obit dump 3f9c2a71 -o core · obit rm 3f9c2a71
)");
}

TEST(RecordPage, SaysWhatWasTooLong) {
  CrashRecord record = Sample();
  for (std::string* path : {&record.process.exe, &record.process.cwd, &record.process.cgroup}) path->clear();
  record.process.too_long = {"exe", "cwd", "cgroup"};
  const std::string page = RenderRecordPage(record, Context());
  EXPECT_THAT(page, HasSubstr("\n  Program     longer than obitd can read, build-id c0ffee\n"));
  EXPECT_THAT(page, HasSubstr("\n  Folder      longer than obitd can read\n"));
  EXPECT_THAT(page, HasSubstr("\n  Cgroup      longer than obitd can read\n"));
  EXPECT_THAT(page, Not(HasSubstr("Root")));
}

TEST(RecordPage, SaysWhyThereIsNoReport) {
  PageContext context = Context();
  context.analysis = "none yet: obit analyze 3f9c2a71";
  EXPECT_THAT(RenderRecordPage(Sample(), context),
              HasSubstr("\n  Analysis    none yet: obit analyze 3f9c2a71\n"));
}

TEST(RecordPage, SaysWhyLessWasKept) {
  CrashRecord record = Sample();
  EXPECT_THAT(RenderRecordPage(record, Context()), Not(HasSubstr("Lowered")));
  record.capture.lowered_reason = "the disk has room for 1 MiB\x1b of cores";
  EXPECT_THAT(RenderRecordPage(record, Context()),
              HasSubstr("\n  Lowered     the disk has room for 1 MiB\\x1b of cores\n"));
  record.capture.reason = record.capture.lowered_reason;
  EXPECT_THAT(RenderRecordPage(record, Context()), Not(HasSubstr("Lowered"))) << "once is enough";
}

TEST(RecordPage, WhatIsNotKnownHasNoLine) {
  CrashRecord record;
  record.id = "3f9c2a71b04d6e58";
  record.capture.method = CaptureMethod::kImport;
  const std::string page = RenderRecordPage(record, Context());
  for (const char* label : {"Process", "Thread", "Program", "Command", "User", "Folder", "Root", "Namespaces",
                            "Cgroup", "Started", "Memory", "Limit", "Host", "Reason", "gdb"})
    EXPECT_THAT(page, Not(HasSubstr(label)));
}

TEST(RecordPage, SaysWhatDirectCaptureCouldNotDo) {
  CrashRecord record = Sample();
  record.capture.stream_reason = "memory at 0x7000, 4096 bytes: /memfd:x may have to wait";
  record.capture.unread = {{0x1000, 4096, "[vvar]"}, {0x2000, 8192, "/tmp/\x1b[2Jx"}, {0x5000, 4096, ""}};
  record.capture.unread_bytes = 16384;
  record.capture.verified = {.bytes = 1 << 20, .different_bytes = 0};
  std::string page = RenderRecordPage(record, Context());
  EXPECT_THAT(page, HasSubstr("Stream      memory at 0x7000"));
  EXPECT_THAT(page, HasSubstr("8.0 KiB of /tmp/\\x1b[2Jx, 4.0 KiB of memory at 0x5000"));
  EXPECT_THAT(page, Not(HasSubstr("vvar")));
  EXPECT_THAT(page, HasSubstr("1.0 MiB are what the kernel sent"));
  record.capture.verified->different_bytes = 4096;
  page = RenderRecordPage(record, Context());
  EXPECT_THAT(page, HasSubstr("4.0 KiB of 1.0 MiB differ from what the kernel sent"));
}

TEST(RecordPage, SaysWhyTheProgramIsNotKept) {
  CrashRecord record = Sample();
  record.capture.exe_reason = "its file system is not known to answer";
  EXPECT_THAT(RenderRecordPage(record, Context()),
              HasSubstr("Program     /usr/bin/imgproxy, no copy is kept: its file system is not known"));
}

TEST(RecordPage, NothingOfTheProcessReachesTheTerminalUnescaped) {
  const std::string evil = "\x1b]0;x\a\n\u202e";
  CrashRecord record = Sample();
  record.process.comm = record.process.exe = record.process.cwd = record.process.root = evil;
  record.process.cgroup = record.process.exe_build_id = record.thread.comm = evil;
  record.process.cmdline = {evil};
  record.process.network_namespace = record.process.user_namespace = evil;
  record.host = {evil, evil, evil};
  record.capture.reason = record.capture.transport = evil;
  const std::string page = RenderRecordPage(record, Context());
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page, Not(HasSubstr("\a")));
  EXPECT_THAT(page, Not(HasSubstr("\u202e")));
}

TEST(RecordPage, ALongCommandLineIsWrappedAndCut) {
  CrashRecord record = Sample();
  record.process.cmdline.assign(5000, "argument");
  PageContext context = Context();
  context.terminal = {.interactive = true, .width = 80};
  const std::string page = RenderRecordPage(record, context);
  EXPECT_THAT(page, HasSubstr("lines more: see --json"));
  std::size_t lines = 0;
  for (const std::string_view line : Split(page, '\n'))
    if (line.find("argument") != std::string_view::npos) {
      ++lines;
      EXPECT_LE(DisplayWidth(line), 80u) << line;
    }
  EXPECT_EQ(lines, 12u);
}

TEST(RecordPage, CommandsStayWhole) {
  PageContext context = Context();
  context.command = "obit --store /srv/copies/of/web1/obit";
  EXPECT_THAT(RenderRecordPage(Sample(), context),
              HasSubstr("  Next        obit --store /srv/copies/of/web1/obit gdb 3f9c2a71\n"
                        "              obit --store /srv/copies/of/web1/obit dump 3f9c2a71 -o core\n"));
}

}  // namespace
}  // namespace obit
