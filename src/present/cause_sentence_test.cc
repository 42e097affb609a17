#include "present/cause_sentence.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(CauseSentence, IsEmptyWhereTheSignalIsAllThatIsKnown) {
  EXPECT_EQ(CauseSentence({}), "");
  EXPECT_EQ(CauseSentence({.guess = true}), "");
}

TEST(CauseSentence, EveryKindHasWordsWithoutAnyFact) {
  for (int kind = 1; kind <= static_cast<int>(CauseKind::kTerminalQuit); ++kind) {
    const Cause cause{.kind = static_cast<CauseKind>(kind)};
    // The words of these are facts themselves.
    if (cause.kind == CauseKind::kFortify || cause.kind == CauseKind::kTrap) continue;
    const std::string sentence = CauseSentence(cause);
    ASSERT_FALSE(sentence.empty()) << NameOf(cause.kind);
    EXPECT_NE(sentence.back(), ' ') << sentence;
    EXPECT_NE(sentence.back(), ':') << sentence;
  }
}

TEST(CauseSentence, AGuessIsCalledOne) {
  EXPECT_EQ(CauseSentence({.kind = CauseKind::kStackOverflow, .guess = true}), "probably: stack overflow");
  EXPECT_EQ(CauseSentence({.guess = true, .old_sentence = "null pointer read"}),
            "probably: null pointer read");
}

TEST(CauseSentence, OfARecursion) {
  Cause cause{.kind = CauseKind::kStackOverflow, .recursion = Cause::Recursion{{"recurse"}, 52103, false}};
  EXPECT_EQ(CauseSentence(cause), "stack overflow: 52,103 calls deep in recurse");
  cause.recursion->at_least = true;
  EXPECT_EQ(CauseSentence(cause), "stack overflow: at least 52,103 calls deep in recurse");
  cause.recursion = {{"odd", "even"}, 1000, false};
  EXPECT_EQ(CauseSentence(cause), "stack overflow: 1,000 times odd < even");
  cause.recursion->irregular = true;
  EXPECT_EQ(CauseSentence(cause), "stack overflow: 1,000 calls deep in odd, even");
}

TEST(CauseSentence, OfAWildStackPointer) {
  Cause cause{.kind = CauseKind::kUnmappedWrite, .address = 0x5000, .reg = "rsp"};
  EXPECT_EQ(CauseSentence(cause), "write to unmapped memory at 0x5000: the stack pointer is wild");
  cause = {.kind = CauseKind::kExecuteNonExecutable, .transfer = Transfer::kReturn, .address = 0x600008};
  EXPECT_EQ(CauseSentence(cause),
            "return to memory that is not executable at 0x600008: the stack was overwritten");
}

TEST(CauseSentence, OfAWildPointer) {
  Cause cause{.kind = CauseKind::kWildPointer, .access = MemoryAccess::kRead, .address = 0x4141414141414141};
  cause.reg = "rdi";
  EXPECT_EQ(CauseSentence(cause), "read through a wild pointer in rdi: 0x4141414141414141");
  cause.transfer = Transfer::kReturn;
  EXPECT_EQ(CauseSentence(cause), "return to a wild address: 0x4141414141414141: the stack was overwritten");
}

TEST(CauseSentence, OfASentSignal) {
  Cause cause{.kind = CauseKind::kKilled, .what = "SIGABRT"};
  cause.sender = {.kind = SenderKind::kProcess, .pid = 812, .uid = 1000};
  EXPECT_EQ(CauseSentence(cause), "killed by SIGABRT from process 812 (uid 1000)");
  cause.sender->kind = SenderKind::kTimer;
  EXPECT_EQ(CauseSentence(cause), "killed by SIGABRT from a timer of its own");
  cause.function = "spin";
  cause.sender = {.kind = SenderKind::kItself, .in_handler = true};
  EXPECT_EQ(CauseSentence(cause), "killed itself with SIGABRT from a signal handler, which had come in spin");
  cause.function.clear();
  EXPECT_EQ(CauseSentence(cause), "killed itself with SIGABRT from a signal handler");
}

TEST(CauseSentence, OfARuntimeTakesTheFirstLineOfItsWords) {
  Cause cause{.kind = CauseKind::kRuntimeFatal,
              .message = "Settings schema is not installed\nmore",
              .runtime = "GLib"};
  EXPECT_EQ(CauseSentence(cause), "GLib: Settings schema is not installed");
  cause.what = "error";
  EXPECT_EQ(CauseSentence(cause), "GLib error: Settings schema is not installed");
}

TEST(CauseSentence, OfAnException) {
  Cause cause{.kind = CauseKind::kUncaughtException, .type = "shop::Error", .message = "no jam"};
  EXPECT_EQ(CauseSentence(cause), "uncaught exception shop::Error: no jam");
  cause.message_guess = true;
  EXPECT_EQ(CauseSentence(cause), "uncaught exception shop::Error, which holds: no jam");
  cause.what = "an exception left a noexcept function";
  cause.message.clear();
  EXPECT_EQ(CauseSentence(cause), "uncaught exception shop::Error (an exception left a noexcept function)");
  EXPECT_EQ(CauseSentence({.kind = CauseKind::kUncaughtException, .runtime = "Node"}),
            "uncaught exception in Node");
}

}  // namespace
}  // namespace obit
