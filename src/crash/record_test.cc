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

TEST(CrashId, NewOnesAreValidAndDiffer) {
  std::set<std::string> ids;
  CrashIds many;
  for (int i = 0; i < 1000; ++i)
    for (const std::string& id : {NewCrashId(), many.Next()}) {
      EXPECT_TRUE(IsCrashId(id)) << id;
      ids.insert(id);
    }
  EXPECT_EQ(ids.size(), 2000u);
}

TEST(CrashId, IsSixteenLowerCaseHexDigits) {
  EXPECT_TRUE(IsCrashId("0123456789abcdef"));
  for (const char* text : {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF", "0123456789abcdeg",
                           "../../etc/passwd", "0123456789abcde "})
    EXPECT_FALSE(IsCrashId(text)) << text;
}

}  // namespace
}  // namespace obit
