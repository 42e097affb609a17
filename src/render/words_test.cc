#include "render/words.h"

#include <csignal>

#include <gtest/gtest.h>

namespace obit {
namespace {

CrashRecord::Capture Capture(CrashOutcome outcome, CaptureMethod method) {
  CrashRecord::Capture capture;
  capture.transport = "socket-request";
  capture.method = method;
  capture.outcome = outcome;
  capture.core_bytes = 1 << 30;
  capture.stored_bytes = 58 << 20;
  capture.held_seconds = 1.61;
  return capture;
}

TEST(CoreColumn, SaysWhatThereIs) {
  EXPECT_EQ(CoreColumn(CrashOutcome::kFull, 1 << 30), "1.0 GiB");
  EXPECT_EQ(CoreColumn(CrashOutcome::kTruncated, 310 << 20), "truncated 310 MiB");
  EXPECT_EQ(CoreColumn(CrashOutcome::kEvent, 0), "event");
  EXPECT_EQ(CoreColumn(CrashOutcome::kFailed, 0), "failed");
}

TEST(DescribeCapture, TellsHowACoreCame) {
  EXPECT_EQ(DescribeCapture(Capture(CrashOutcome::kFull, CaptureMethod::kStream)),
            "full: 1.0 GiB in 58 MiB, by stream over socket-request; held for 1.61 s");
}

TEST(DescribeCapture, TellsWhatATruncatedCoreShouldHave) {
  auto capture = Capture(CrashOutcome::kTruncated, CaptureMethod::kImport);
  capture.promised_bytes = 2ULL << 30;
  capture.held_seconds = 0;
  EXPECT_EQ(DescribeCapture(capture), "truncated: 1.0 GiB of 2.0 GiB, in 58 MiB, imported from a core file");
}

TEST(DescribeCapture, AnEventHasNoSizes) {
  auto capture = Capture(CrashOutcome::kEvent, CaptureMethod::kNone);
  capture.core_bytes = capture.stored_bytes = 0;
  capture.held_seconds = 0.00028;
  EXPECT_EQ(DescribeCapture(capture), "event, over socket-request; held for 0.28 ms");
}

TEST(DescribeSignal, NamesCodeAddressAndSender) {
  EXPECT_EQ(DescribeSignal({}), "unknown signal");
  EXPECT_EQ(DescribeSignal({.number = SIGSEGV, .code = 1, .address = 0x18}),
            "SIGSEGV (SEGV_MAPERR) at address 0x18");
  EXPECT_EQ(DescribeSignal({.number = SIGABRT, .code = SI_TKILL, .sender_pid = 4711, .sender_uid = 0}),
            "SIGABRT (SI_TKILL), sent by process 4711 of root");
}

TEST(Headline, EscapesTheNameOfTheProgram) {
  CrashRecord record;
  record.process.comm = "evil\x1b[2J";
  record.signal.number = SIGSEGV;
  EXPECT_TRUE(Headline(record, record.time).starts_with("evil\\x1b[2J died of SIGSEGV today at "));
}

TEST(Headline, DoesNotPretendToKnow) {
  CrashRecord record;
  record.capture.method = CaptureMethod::kImport;
  EXPECT_TRUE(Headline(record, record.time)
                  .starts_with("A program without a name died; its core file was written today"));
}

TEST(QuoteForShell, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(QuoteForShell("--port=8080"), "--port=8080");
  EXPECT_EQ(QuoteForShell(""), "''");
  EXPECT_EQ(QuoteForShell("a b"), "'a b'");
  EXPECT_EQ(QuoteForShell("it's"), "'it'\\''s'");
  EXPECT_EQ(QuoteForShell("$HOME"), "'$HOME'");
}

}  // namespace
}  // namespace obit
