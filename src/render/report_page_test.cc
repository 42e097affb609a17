#include "render/report_page.h"

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include <sys/stat.h>

#include "base/test_support.h"
#include "base/text.h"

namespace obit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kSecond = 1'000'000'000;

CrashRecord SampleRecord() {
  CrashRecord record;
  record.id = "3f9c2a71b04d6e58";
  record.time = 1'795'442'531 * kSecond;
  record.process.pid = 48213;
  record.process.comm = "imgproxy";
  record.process.cmdline = {"imgproxy", "--port", "8080"};
  record.process.cgroup = "/system.slice/imgproxy.service";
  record.process.uid = 0;
  record.process.started = record.time - (3 * 86400 + 2 * 3600) * kSecond;
  record.thread = {48219, "worker-3", 0x401000, 0x7ffe0000};
  record.signal = {.number = SIGSEGV, .code = 1, .address = 0x18};
  record.capture.transport = "socket-request";
  record.capture.method = CaptureMethod::kDirect;
  record.capture.outcome = CrashOutcome::kFull;
  record.capture.core_bytes = 1 << 30;
  record.capture.stored_bytes = 58 << 20;
  record.capture.held_seconds = 0.61;
  record.files.core = "core.zst";
  return record;
}

Frame Named(std::string function, std::uint32_t module, std::string file = "", std::uint32_t line = 0) {
  Frame frame{.pc = 0x401136, .function = std::move(function), .file = std::move(file), .line = line};
  frame.origin = FrameOrigin::kCfi;
  frame.module = module;
  frame.module_offset = 0x89134;
  return frame;
}

Report SampleReport() {
  Report report;
  report.id = "3f9c2a71b04d6e58";
  report.cause = {.kind = CauseKind::kNullRead, .access = MemoryAccess::kRead, .address = 0x18, .reg = "rdi"};
  report.modules = {{.path = "/usr/bin/imgproxy", .symbols = "module"},
                    {.path = "/lib/libc.so.6", .symbols = "debug file"}};
  report.threads = 17;
  Stack crashed, waiting, sleeping;
  crashed.tids = {48219};
  crashed.frames = {Named("Cache::find(std::string const&) const", 0, "/nowhere/cache.cc", 112),
                    Named("Handler::lookup", 0, "/nowhere/handler.cc", 77),
                    Named("Handler::serve(Request const&)", 0, "/nowhere/handler.cc", 61),
                    Named("start_thread", 1)};
  crashed.frames[1].inlined = true;
  waiting.tids = std::vector<pid_t>(15, 48220);
  waiting.frames = {Named("epoll_wait", 1), Named("worker_loop(Pool*)", 0)};
  sleeping.tids = {48240};
  sleeping.frames = {Named("clock_nanosleep", 1), Named("nanosleep", 1),
                     Named("void web::Stats::run<int>(int)", 0)};
  report.stacks = {crashed, waiting, sleeping};
  report.registers = {{"rdi", 0}, {"rsi", 0x7f1c0400b2e0, "heap"}, {"rax", 1}};
  report.instruction = {0x401136, "488b4718", "mov 0x18(%rdi),%eax"};
  return report;
}

PageContext Context() {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  PageContext context;
  context.now = SampleRecord().time;
  context.folder = "/var/lib/obit/crashes/2026-11-23/3f9c2a71b04d6e58";
  context.has_report = true;
  context.standing = {
      .group = "a71c09", .position = 3, .total = 3, .first_time = context.now - 2 * 86400 * kSecond};
  return context;
}

std::string Render(const CrashRecord& record, const Report& report, const PageContext& context = Context()) {
  return RenderReportPage(record, report, context, {});
}

TEST(ReportPage, SaysWhatATiredPersonWantsFirst) {
  EXPECT_EQ(Render(SampleRecord(), SampleReport()),
            R"(imgproxy died of SIGSEGV today at 14:02:11, the 3rd time since Saturday (group a71c09)

  Null pointer read at 0x18: rdi is null
  in Cache::find(std::string const&) const, /nowhere/cache.cc:112

  #0  Cache::find(std::string const&) const  cache.cc:112
  #1  Handler::lookup (inlined)              handler.cc:77
  #2  Handler::serve(Request const&)         handler.cc:61
  #3  start_thread                           libc.so.6 +0x89134
      mov 0x18(%rdi),%eax    rdi 0  rax 0x1

  Threads     17: this one; 15 alike in epoll_wait < worker_loop; 1 in clock_nanosleep < Stats::run
  Signal      SIGSEGV (SEGV_MAPERR) at address 0x18
  Process     48213, thread 48219 "worker-3": imgproxy --port 8080; user root;
              unit imgproxy.service; up 3 d 2 h
  Core        full: 1.0 GiB in 58 MiB, taken directly over socket-request; held for 0.61 s
  Files       /var/lib/obit/crashes/2026-11-23/3f9c2a71b04d6e58: crash.json, core.zst, report.json

  Next        obit gdb 3f9c2a71 · obit show 3f9c2a71 --all-threads · obit show a71c09
)");
}

TEST(ReportPage, SaysWhatACrashLoopRepeated) {
  PageContext context = Context();
  context.repeats = Repeats{.crashes = 31, .last = context.now + 60 * kSecond};
  const std::string page = Render(SampleRecord(), SampleReport(), context);
  EXPECT_THAT(
      page,
      HasSubstr("\n  Repeats     31 more until today at 14:03:11 were counted, not kept (crash loop)\n"));
  EXPECT_THAT(page, HasSubstr("repeats.json\n"));
  context.repeats->crashes = 1;
  EXPECT_THAT(Render(SampleRecord(), SampleReport(), context),
              HasSubstr("1 more until today at 14:03:11 was counted, not kept"));
}

TEST(ReportPage, ShowsTheSourceWhereItCanBeRead) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "cache.cc";
  std::ofstream(path) << "one\n  two();\nthree\n";
  const timespec before[] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), before, 0), 0);
  Report report = SampleReport();
  report.stacks[0].frames[0].file = path;
  report.stacks[0].frames[0].line = 2;
  EXPECT_THAT(Render(SampleRecord(), report),
              HasSubstr("\n     1  one\n  >  2    two();\n     3  three\n\n"));
  EXPECT_THAT(Render(SampleRecord(), report), Not(HasSubstr("newer")));
  const timespec after[] = {{2'000'000'000, 0}, {2'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), after, 0), 0);
  EXPECT_THAT(Render(SampleRecord(), report), HasSubstr("the file is newer than the crash"));
}

TEST(ReportPage, ThePlaceIsThatOfTheProgramNotOfItsRuntime) {
  Report report = SampleReport();
  report.cause = {.kind = CauseKind::kAssert,
                  .expression = "x",
                  .message = "imgproxy: x.cc:1: f: Assertion `x' failed.\n"};
  auto& frames = report.stacks[0].frames;
  frames.insert(frames.begin(), {Named("raise", 1), Named("abort", 1)});
  EXPECT_THAT(Render(SampleRecord(), report),
              HasSubstr("  in Cache::find(std::string const&) const, /nowhere/cache.cc:112\n"
                        "  \"imgproxy: x.cc:1: f: Assertion `x' failed.\"\n"));
}

TEST(ReportPage, AGuessIsSaidToBeOne) {
  Report report = SampleReport();
  report.cause.guess = true;
  EXPECT_THAT(Render(SampleRecord(), report), HasSubstr("  Probably: null pointer read at 0x18"));
}

TEST(ReportPage, WithoutASentenceTheSignalIsTheCause) {
  Report report = SampleReport();
  report.cause = {};
  EXPECT_THAT(Render(SampleRecord(), report),
              HasSubstr("\n\n  SIGSEGV (SEGV_MAPERR) at address 0x18\n  in Cache"));
}

TEST(ReportPage, SaysWhereItGotStuckAndWhatIsMissing) {
  Report report = SampleReport();
  report.failure = "out of time";
  report.modules[0] = {.path = "/usr/bin/imgproxy", .problem = "replaced since"};
  for (Frame& frame : report.stacks[0].frames) frame.function.clear();
  CrashRecord record = SampleRecord();
  record.capture.outcome = CrashOutcome::kTruncated;
  record.capture.reason = "no space left";
  const std::string page = Render(record, report);
  EXPECT_THAT(page, HasSubstr("Analysis    stopped early: out of time\n"));
  EXPECT_THAT(page, HasSubstr("Symbols     none for imgproxy (replaced since)\n"));
  EXPECT_THAT(page, HasSubstr("Reason      no space left\n"));
}

TEST(ReportPage, SaysWhoCanReadWhatObitdMayNot) {
  Report report = SampleReport();
  report.modules[0] = {.path = "/root/bin/imgproxy", .problem = "open /root/bin/imgproxy: Permission denied"};
  for (Frame& frame : report.stacks[0].frames) frame.function.clear();
  const std::string page = Render(SampleRecord(), report);
  EXPECT_THAT(page, HasSubstr("(open /root/bin/imgproxy: Permission denied)"));
  EXPECT_THAT(page, HasSubstr("an analysis by root"));
  EXPECT_THAT(page, HasSubstr("Next        sudo obit analyze 3f9c2a71 · obit gdb 3f9c2a71"));
}

TEST(ReportPage, TheHeadlineSaysHowOften) {
  PageContext context = Context();
  const auto headline = [&] {
    return std::string(Split(Render(SampleRecord(), SampleReport(), context), '\n')[0]);
  };
  context.standing = {.group = "a71c09", .position = 1, .total = 1, .first_time = context.now};
  EXPECT_THAT(headline(), HasSubstr("14:02:11, the only one of its kind (group a71c09)"));
  context.standing = {
      .group = "a71c09", .position = 2, .total = 12, .first_time = context.now - 86400 * kSecond};
  EXPECT_THAT(headline(), HasSubstr("14:02:11, the 2nd of 12 times since yesterday (group a71c09)"));
  context.standing.reset();
  EXPECT_THAT(headline(), ::testing::EndsWith("14:02:11"));
}

TEST(ReportPage, SectionsFollowWhenAskedFor) {
  const std::string page = RenderReportPage(
      SampleRecord(), SampleReport(), Context(),
      {.all_threads = true, .registers = true, .modules = true, .mappings = true, .record = true});
  std::size_t at = 0;
  for (const char* heading : {"\n15 threads alike: ", "\nThread 48240\n", "\nRegisters\n", "\nModules\n",
                              "\nRecorded at the crash\n", "  Cgroup      /system.slice", "\n  Next "}) {
    const std::size_t found = page.find(heading, at);
    ASSERT_NE(found, std::string::npos) << heading;
    at = found;
  }
}

TEST(ReportPage, LinesFitTheTerminal) {
  Report report = SampleReport();
  report.cause.old_sentence =
      "a sentence of many words " + std::string(60, 'x') + " that goes on for longer than any line";
  report.stacks[0].frames[0].function =
      "web::Router<web::Request, std::map<int, web::Handler>>::serve(web::Request const&, int)";
  for (std::size_t width = 80; width < 160; width += 10) {
    PageContext context = Context();
    context.terminal = {.interactive = true, .width = width};
    const std::string page =
        RenderReportPage(SampleRecord(), report, context, {.all_threads = true, .registers = true});
    for (const std::string_view line : Split(page, '\n')) EXPECT_LE(DisplayWidth(line), width) << line;
  }
}

TEST(ReportPage, NothingOfTheProcessReachesTheTerminalUnescaped) {
  const std::string evil = "\x1b]0;x\a\n\u202e";
  CrashRecord record = SampleRecord();
  record.process.comm = record.process.cgroup = record.thread.comm = record.capture.reason = evil;
  record.process.cmdline = {evil};
  Report report = SampleReport();
  report.failure = report.cause.old_sentence = report.cause.message = evil;
  report.instruction->text = evil + " rdi";
  report.registers[0].about = report.registers[1].name = evil;
  for (Module& module : report.modules) module = {.path = evil, .problem = evil};
  for (Stack& stack : report.stacks) {
    stack.end = evil;
    for (Frame& frame : stack.frames) frame.function = frame.file = evil;
    stack.frames.push_back(Named("", 0));
  }
  const std::string page =
      RenderReportPage(record, report, Context(), {.all_threads = true, .registers = true, .modules = true});
  for (const char* bad : {"\x1b", "\a", "\u202e"}) EXPECT_EQ(page.find(bad), std::string::npos) << page;
}

TEST(ReportPage, AnEmptyReportIsAPageToo) {
  EXPECT_THAT(Render(SampleRecord(), Report()), HasSubstr("SIGSEGV (SEGV_MAPERR) at address 0x18"));
}

}  // namespace
}  // namespace obit
