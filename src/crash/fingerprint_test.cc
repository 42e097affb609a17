#include "crash/fingerprint.h"

#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crash/runtime_frames.h"

namespace obit {
namespace {

using ::testing::ElementsAre;

constexpr std::uint32_t kProgram = 0, kLibc = 1, kStripped = 2;

Frame In(std::uint32_t module, std::string function, std::uint64_t offset = 0) {
  Frame frame{.function = std::move(function)};
  frame.module = module;
  frame.module_offset = offset;
  return frame;
}

Report WithFrames(std::vector<Frame> frames) {
  Report report;
  report.cause.kind = CauseKind::kNullRead;
  report.modules = {{.path = "/usr/bin/shop"},
                    {.path = "/usr/lib/x86_64-linux-gnu/libc.so.6"},
                    {.path = "/opt/libparse.so.1.2", .build_id = "abcd"}};
  report.stacks = {{.frames = std::move(frames)}};
  return report;
}

std::string ValueOf(const Report& report) { return FindFingerprint(report, {}).value; }

TEST(FindFingerprint, LeavesOutTheRuntimeAndWhatDiffersBetweenBuilds) {
  const Report report = WithFrames({In(kLibc, "__strlen_avx2"), In(kProgram, "shop::Cart::add(int) const"),
                                    In(kStripped, "", 0x1234), In(kProgram, "main")});
  EXPECT_THAT(FindFingerprint(report, {}).frames,
              ElementsAre("shop!shop::Cart::add", "abcd+0x1234", "shop!main"));
}

TEST(FindFingerprint, AddressesAndLinesDoNotMatter) {
  Report one = WithFrames({In(kProgram, "pay", 0x100), In(kProgram, "main", 0x200)});
  Report other = WithFrames({In(kProgram, "pay", 0x900), In(kProgram, "main", 0x300)});
  other.stacks[0].frames[0].line = 7;
  other.stacks[0].frames[0].pc = 0x7f0000000000;
  other.cause.kind = CauseKind::kUnmappedWrite;  // one bug may show in both ways
  EXPECT_EQ(ValueOf(one), ValueOf(other));
}

TEST(FindFingerprint, CallersAndKindsOfCauseMatter) {
  const Report one = WithFrames({In(kProgram, "pay"), In(kProgram, "checkout")});
  EXPECT_NE(ValueOf(one), ValueOf(WithFrames({In(kProgram, "pay"), In(kProgram, "refund")})));
  Report other = one;
  other.cause.kind = CauseKind::kDivideByZero;
  EXPECT_NE(ValueOf(one), ValueOf(other));
}

TEST(FindFingerprint, ARecursionIsTheSameWhereverItStopped) {
  Report one = WithFrames({In(kProgram, "odd"), In(kProgram, "even"), In(kProgram, "main")});
  one.cause.kind = CauseKind::kStackOverflow;
  one.stacks[0].folds = {{0, 2, 1000}};
  Report other =
      WithFrames({In(kProgram, "leaf"), In(kProgram, "even"), In(kProgram, "odd"), In(kProgram, "main")});
  other.cause.kind = CauseKind::kStackOverflow;
  other.stacks[0].folds = {{1, 2, 777}};
  EXPECT_EQ(ValueOf(one), ValueOf(other));
}

TEST(FindFingerprint, ARuntimeThatFindsTheOverflowItself) {
  Report one = WithFrames({In(kProgram, "odd"), In(kProgram, "even"), In(kProgram, "main")});
  one.cause.kind = CauseKind::kRustPanic;
  one.cause.message = "thread 'main' has overflowed its stack";
  one.stacks[0].folds = {{0, 2, 1000}};
  EXPECT_THAT(FindFingerprint(one, {}).frames, ElementsAre("shop!even", "shop!odd"));
}

TEST(FindFingerprint, ScriptsOfOneInterpreterAreTold) {
  const Report report = WithFrames({In(kProgram, "_PyEval_EvalFrameDefault"), In(kProgram, "main")});
  CrashRecord one, other;
  one.process.exe = other.process.exe = "/usr/bin/python3.11";
  one.process.cmdline = {"python3", "/srv/order.py"};
  other.process.cmdline = {"python3", "/srv/invoice.py"};
  EXPECT_NE(FindFingerprint(report, one).value, FindFingerprint(report, other).value);
  other.process.cmdline = {"python3", "-u", "/home/ann/order.py", "--all"};
  EXPECT_EQ(FindFingerprint(report, one).value, FindFingerprint(report, other).value);
}

TEST(FindFingerprint, NothingToGoBy) {
  EXPECT_EQ(ValueOf(WithFrames({})), "");
  EXPECT_NE(ValueOf(WithFrames({In(kLibc, "abort")})), "") << "only the runtime's frames: better than none";
}

TEST(FindFingerprint, AHandlerThatGaveUpIsNotWhatCrashed) {
  Report report =
      WithFrames({In(kLibc, "abort"), In(kProgram, "on_fatal_signal"), In(kLibc, "<signal handler called>"),
                  In(kProgram, "pay"), In(kProgram, "main")});
  report.stacks[0].frames[3].interrupted = true;
  report.cause_frame = 3;
  EXPECT_THAT(FindFingerprint(report, {}).frames, ElementsAre("shop!pay", "shop!main"));
  report.cause_frame = 0;
  EXPECT_THAT(FindFingerprint(report, {}).frames, ElementsAre("shop!on_fatal_signal"))
      << "a fault in a handler is the handler's";
}

TEST(FindFingerprint, AHandlerIsToldByItsNameThoughItSaysNothingButDie) {
  CrashRecord gave_up;
  gave_up.process.pid = gave_up.signal.sender_pid.emplace(12);
  gave_up.signal.number = SIGABRT;
  Report report = WithFrames({In(kLibc, "abort"), In(kProgram, "die"), In(kLibc, "<signal handler called>"),
                              In(kLibc, "epoll_wait"), In(kProgram, "serve")});
  report.stacks[0].frames[3].interrupted = true;
  report.cause_frame = 0;  // what came was a timer's
  EXPECT_THAT(FindFingerprint(report, gave_up).frames, ElementsAre("shop!die"));
  EXPECT_EQ(FindOwnFrame(report.stacks[0].frames, report.modules, 0, true), 1u);
}

TEST(CauseFrameOf, AReportThatDoesNotTellHasItWhereTheSignalCame) {
  Report report = WithFrames({In(kLibc, "abort"), In(kProgram, "on_fatal_signal"), In(kProgram, "pay")});
  report.stacks[0].frames[2].interrupted = true;
  CrashRecord gave_up;
  gave_up.process.pid = gave_up.signal.sender_pid.emplace(12);
  EXPECT_EQ(CauseFrameOf(report, gave_up), 2u);
  EXPECT_EQ(CauseFrameOf(report, {}), 0u);
  report.cause.first_fault.emplace();
  EXPECT_EQ(CauseFrameOf(report, {}), 2u);
  report.cause_frame = 1;
  EXPECT_EQ(CauseFrameOf(report, {}), 1u);
}

}  // namespace
}  // namespace obit
