#include "crash/report.h"

#include <set>

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(Report, EveryCauseHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(CauseKind::kKilled); ++i) {
    const auto kind = static_cast<CauseKind>(i);
    EXPECT_FALSE(NameOf(kind).empty()) << i;
    EXPECT_TRUE(names.insert(NameOf(kind)).second) << NameOf(kind);
    EXPECT_EQ(CauseNamed(NameOf(kind)), kind);
  }
  EXPECT_EQ(CauseNamed(""), std::nullopt);
  EXPECT_EQ(CauseNamed("Null-read"), std::nullopt);
}

TEST(Report, NamesOfCausesFitTheirPlace) {
  EXPECT_EQ(NameOf(CauseKind::kUnknown), "unknown");
  EXPECT_EQ(NameOf(CauseKind::kStackOverflow), "stack-overflow");
  EXPECT_EQ(NameOf(CauseKind::kOutOfMemory), "out-of-memory");
  EXPECT_EQ(NameOf(CauseKind::kTruncatedFile), "truncated-file");
  EXPECT_EQ(NameOf(CauseKind::kKilled), "killed");
}

TEST(Report, EveryOriginHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(FrameOrigin::kScan); ++i) {
    const auto origin = static_cast<FrameOrigin>(i);
    EXPECT_TRUE(names.insert(NameOf(origin)).second) << NameOf(origin);
    EXPECT_EQ(OriginNamed(NameOf(origin)), origin);
  }
  EXPECT_EQ(NameOf(FrameOrigin::kFramePointer), "frame-pointer");
  EXPECT_EQ(OriginNamed("luck"), std::nullopt);
}

TEST(Report, OfATraceHasNothingThatWasInMemory) {
  Report report;
  report.stacks = {{.tids = {1}, .frames = {{.pc = 1, .function = "f", .module = 0}, {.pc = 0}}}};
  report.cause.old_sentence = "null pointer read";
  Report all = report;
  all.registers = {{"rax", 42, ""}};
  all.memory = {{"sp", 7, "secret"}};
  all.environment = {"TOKEN=secret"};
  all.stacks[0].frames[1].pc = 0x7465726365730000;
  ForgetMemory(all);
  EXPECT_EQ(all, report);
  all.instruction.emplace();
  ForgetMemory(all);
  EXPECT_TRUE(all.instruction) << "it is in a file";
  all.stacks[0].frames[0].module.reset();
  ForgetMemory(all);
  EXPECT_FALSE(all.instruction);
}

}  // namespace
}  // namespace obit
