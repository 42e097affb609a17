#include "crash/record.h"

#include <csignal>
#include <set>

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(Names, OfEachEnumComeBack) {
  for (const Detail detail : {Detail::kFull, Detail::kMinimal, Detail::kEvent, Detail::kReject})
    EXPECT_EQ(DetailNamed(NameOf(detail)), detail);
  for (const CaptureMethod method :
       {CaptureMethod::kNone, CaptureMethod::kStream, CaptureMethod::kDirect, CaptureMethod::kImport})
    EXPECT_EQ(MethodNamed(NameOf(method)), method);
  for (const CrashOutcome outcome : {CrashOutcome::kFull, CrashOutcome::kMinimal, CrashOutcome::kEvent,
                                     CrashOutcome::kTruncated, CrashOutcome::kFailed})
    EXPECT_EQ(OutcomeNamed(NameOf(outcome)), outcome);
}

TEST(Names, OtherWordsAreNone) {
  for (const char* word : {"", "Full", "full ", "unknown"}) {
    EXPECT_FALSE(DetailNamed(word)) << word;
    EXPECT_FALSE(MethodNamed(word)) << word;
    EXPECT_FALSE(OutcomeNamed(word)) << word;
  }
}

TEST(SignalName, IsTheOneOfSignal7) {
  EXPECT_EQ(SignalName(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(SignalName(SIGABRT), "SIGABRT");
  EXPECT_EQ(SignalName(SIGSYS), "SIGSYS");
  EXPECT_EQ(SignalName(SIGRTMIN), "SIGRTMIN");
  EXPECT_EQ(SignalName(SIGRTMIN + 2), "SIGRTMIN+2");
}

TEST(SignalName, OfAnUnknownNumberIsTheNumber) {
  for (const int number : {-1, 0, 99, 1 << 30})
    EXPECT_EQ(SignalName(number), "signal " + std::to_string(number));
}

TEST(SignalCodeName, DependsOnTheSignal) {
  EXPECT_EQ(SignalCodeName(SIGSEGV, 1), "SEGV_MAPERR");
  EXPECT_EQ(SignalCodeName(SIGBUS, 1), "BUS_ADRALN");
  EXPECT_EQ(SignalCodeName(SIGFPE, 1), "FPE_INTDIV");
  EXPECT_EQ(SignalCodeName(SIGTERM, 1), "1");
}

TEST(SignalCodeName, KnowsWhatAnySignalCanHave) {
  EXPECT_EQ(SignalCodeName(SIGSEGV, SI_USER), "SI_USER");
  EXPECT_EQ(SignalCodeName(SIGABRT, SI_TKILL), "SI_TKILL");
  EXPECT_EQ(SignalCodeName(SIGSEGV, SI_KERNEL), "SI_KERNEL");
}

TEST(SignalCodeName, OfAnUnknownCodeIsTheNumber) {
  EXPECT_EQ(SignalCodeName(SIGSEGV, 77), "77");
  EXPECT_EQ(SignalCodeName(SIGSEGV, -77), "-77");
}

TEST(CrashId, NewOnesAreValidAndDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = NewCrashId();
    EXPECT_TRUE(IsCrashId(id)) << id;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(CrashId, IsSixteenLowerCaseHexDigits) {
  EXPECT_TRUE(IsCrashId("0123456789abcdef"));
  for (const char* text : {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF", "0123456789abcdeg",
                           "../../etc/passwd", "0123456789abcde "})
    EXPECT_FALSE(IsCrashId(text)) << text;
}

}  // namespace
}  // namespace obit
