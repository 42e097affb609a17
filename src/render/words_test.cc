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
  EXPECT_EQ(CoreColumn(CrashOutcome::kMinimal, 1 << 20), "minimal 1.0 MiB");
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

TEST(DescribeCapture, TellsWhatAMinimalCoreWasMadeOf) {
  auto capture = Capture(CrashOutcome::kMinimal, CaptureMethod::kDirect);
  capture.core_bytes = 1 << 20;
  capture.stored_bytes = 58 << 10;
  capture.promised_bytes = capture.core_bytes;
  capture.full_bytes = 8ULL << 30;
  EXPECT_EQ(DescribeCapture(capture),
            "minimal: 1.0 MiB of 8.0 GiB, in 58 KiB, taken directly over socket-request; held for 1.61 s");
}

TEST(DescribeHoles, TellsOfThoseThatZstdLeavesOut) {
  auto capture = Capture(CrashOutcome::kFull, CaptureMethod::kDirect);
  EXPECT_EQ(DescribeHoles(capture), "");
  capture.omitted_bytes = 20ULL << 40;
  EXPECT_EQ(DescribeHoles(capture),
            "20 TiB are stored as lengths: obit gives them as zeros, zstd -dc leaves them out");
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

TEST(DescribeSignal, TellsTheFaultThatAHandlerCaughtBefore) {
  Cause cause;
  cause.first_fault = {.signal = SIGSEGV, .code = 1, .address = 0};
  EXPECT_EQ(
      DescribeSignal({.number = SIGABRT, .code = SI_TKILL, .sender_pid = 4711}, cause),
      "SIGABRT (SI_TKILL), sent by process 4711, after SIGSEGV (SEGV_MAPERR) at address 0x0, which a handler "
      "caught");
  EXPECT_EQ(DescribeSignal({.number = SIGSEGV, .code = 1, .address = 0x18}, Cause()),
            "SIGSEGV (SEGV_MAPERR) at address 0x18");
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

TEST(DescribeIdentity, NamesUnitContainerAndPod) {
  EXPECT_EQ(DescribeIdentity("/system.slice/imgproxy.service"), "unit imgproxy.service");
  EXPECT_EQ(DescribeIdentity("/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service"),
            "unit editor.service of user@1000.service");
  const std::string id(64, 'a');
  EXPECT_EQ(DescribeIdentity("/system.slice/docker-" + id + ".scope"), "container aaaaaaaaaaaa (docker)");
  EXPECT_EQ(DescribeIdentity("/kubepods/pod6f8d3c0e-5b1a-4c8e-9d2f-0a1b2c3d4e5f/" + id),
            "container aaaaaaaaaaaa, pod 6f8d3c0e-5b1a-4c8e-9d2f-0a1b2c3d4e5f");
  EXPECT_EQ(DescribeIdentity("/lxc.payload.web\x1b[2J"), "container web\\x1b[2J (lxc)");
  EXPECT_EQ(DescribeIdentity(R"(/a\x1b[2J.service)"), "unit a\\x1b[2J.service")
      << "decoded, and escaped again";
  EXPECT_EQ(DescribeIdentity("/"), "");
}

TEST(Ordinal, FollowsTheLastDigits) {
  for (const auto& [number, text] : {std::pair{1, "1st"},
                                     {2, "2nd"},
                                     {3, "3rd"},
                                     {4, "4th"},
                                     {11, "11th"},
                                     {12, "12th"},
                                     {13, "13th"},
                                     {21, "21st"},
                                     {102, "102nd"},
                                     {113, "113th"},
                                     {1000, "1000th"}})
    EXPECT_EQ(Ordinal(static_cast<std::uint64_t>(number)), text);
}

TEST(DescribeCause, BeginsALine) {
  EXPECT_EQ(DescribeCause("null pointer read at 0x18"), "Null pointer read at 0x18");
  EXPECT_EQ(DescribeCause("probably: null pointer read at 0x18"), "Probably: null pointer read at 0x18");
  EXPECT_EQ(DescribeCause("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(DescribeCause("std::terminate called in f"), "std::terminate called in f");
  EXPECT_EQ(DescribeCause(""), "");
}

}  // namespace
}  // namespace obit
