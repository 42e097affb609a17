#include "render/stack_text.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace obit {
namespace {

using ::testing::HasSubstr;

Frame Named(std::string function, std::string file = "", std::uint32_t line = 0) {
  Frame frame{.pc = 0x401136, .function = std::move(function), .file = std::move(file), .line = line};
  frame.origin = FrameOrigin::kCfi;
  frame.module = 0;
  frame.module_offset = 0x1136;
  return frame;
}

Report WithModules() {
  Report report;
  report.modules = {{.path = "/usr/bin/imgproxy"}, {.path = "/lib/libc.so.6"}};
  return report;
}

std::string Render(const Stack& stack, std::size_t width = 0, const StackLimits& limits = {}) {
  return RenderFrames(stack, WithModules(), {.width = width}, limits);
}

TEST(RenderFrames, HasALineForEachFrame) {
  Stack stack;
  stack.frames = {Named("Cache::find(int)", "/src/cache.cc", 112),
                  Named("Handler::lookup", "/src/handler.cc", 77), Named("start_thread"), Named("")};
  stack.frames[1].inlined = true;
  stack.frames[2].module = 1;
  stack.frames[3].module.reset();
  stack.frames[3].origin = FrameOrigin::kScan;
  EXPECT_EQ(Render(stack),
            "  #0  Cache::find(int)           cache.cc:112\n"
            "  #1  Handler::lookup (inlined)  handler.cc:77\n"
            "  #2  start_thread               libc.so.6 +0x1136\n"
            "  #3  ? (no name)                0x401136\n");
}

TEST(RenderFrames, LinesFitTheTerminal) {
  Stack stack;
  stack.frames = {
      Named("std::map<int, std::vector<web::Handler>>::insert(std::pair<int const, web::Handler>&&)",
            "/src/a-file-with-a-rather-long-name-that-goes-on.cc", 1234567),
      Named(std::string(5000, 'f'), "", 0),
      Named("漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字", "漢字漢字漢字漢字.cc", 1)};
  stack.frames[0].inlined = true;
  stack.frames[1].origin = FrameOrigin::kFramePointer;
  stack.folds = {{1, 2, UINT64_MAX}};
  for (std::size_t width = 40; width < 160; ++width) {
    const std::string text = Render(stack, width);
    for (const std::string_view line : Split(text, '\n')) ASSERT_LE(DisplayWidth(line), width) << line;
    ASSERT_THAT(text, HasSubstr("(inlined)"));
  }
  EXPECT_THAT(Render(stack, 100), HasSubstr("std::map<…>::insert(std::pair<…>&&) (inlined)"));
}

TEST(RenderFrames, FoldsAreCountedAsIfTheyWereThere) {
  Stack stack;
  for (const char* function : {"f", "g", "h", "main"}) stack.frames.push_back(Named(function, "a.cc", 1));
  stack.folds = {{0, 2, 52103}, {2, 1, 3}};
  EXPECT_EQ(Render(stack),
            "  #0       f     a.cc:1\n"
            "  #1       g     a.cc:1\n"
            "           … these 2 frames 52,103 times\n"
            "  #104206  h     a.cc:1\n"
            "           … this frame 3 times\n"
            "  #104209  main  a.cc:1\n");
}

TEST(RenderFrames, AFoldMayClaimAnyNumber) {
  Stack stack;
  stack.frames = {Named("f"), Named("g")};
  stack.folds = {{0, 1, UINT64_MAX}, {1, 1, 0}};
  EXPECT_THAT(Render(stack), HasSubstr("18,446,744,073,709,551,615 times"));
}

TEST(RenderFrames, TheMiddleOfALongStackIsCounted) {
  Stack stack;
  for (int i = 0; i < 500; ++i) stack.frames.push_back(Named(fmt::format("f{}", i), "a.cc", 1));
  EXPECT_EQ(Render(stack, 0, {.first = 2, .last = 1}),
            "  #0    f0    a.cc:1\n"
            "  #1    f1    a.cc:1\n"
            "        … 497 more frames\n"
            "  #499  f499  a.cc:1\n");
  stack.frames.resize(4);
  EXPECT_THAT(Render(stack, 0, {.first = 2, .last = 1}), HasSubstr("f2"))
      << "a gap of one line is not worth its line";
}

TEST(RenderFrames, ASignalThatInterruptedIsSaid) {
  Stack stack;
  stack.frames = {Named("handler"), Named("main")};
  stack.frames[1].interrupted = true;
  EXPECT_EQ(Render(stack),
            "  #0  handler  imgproxy +0x1136\n"
            "      (a signal came here)\n"
            "  #1  main     imgproxy +0x1136\n");
}

TEST(RenderFrames, NothingOfTheProcessReachesTheTerminalUnescaped) {
  const std::string evil = "\x1b]0;x\a\n\u202e<a>(b)";
  Stack stack;
  stack.frames = {Named(evil, evil, 1), Named(evil)};
  stack.end = evil;
  Report report;
  report.modules = {{.path = evil}};
  const std::string text = RenderFrames(stack, report, {.width = 60}, {}) + RenderStackRemarks(stack, {});
  for (const char* bad : {"\x1b", "\a", "\u202e"}) EXPECT_EQ(text.find(bad), std::string::npos);
  EXPECT_EQ(Split(text, '\n').size(), 4u);
}

TEST(RenderStackRemarks, ExplainGuessesAndTheEnd) {
  Stack stack;
  stack.frames = {Named("f")};
  EXPECT_EQ(RenderStackRemarks(stack, {}), "");
  stack.frames[0].origin = FrameOrigin::kFramePointer;
  stack.end = "the stack was not kept";
  EXPECT_EQ(RenderStackRemarks(stack, {}),
            "  ? found by frame pointers or on the stack, without unwind information: may be wrong\n"
            "  The stack is not complete: the stack was not kept\n");
}

TEST(TellingFrame, IsNoTemplateAndNoStartCode) {
  const Report report{.modules = {{.path = "/usr/bin/imgproxy"}}};
  Stack stack;
  for (const char* function : {"std::vector<int>::at(unsigned long)", "__libc_start_main", "resize", "main"})
    stack.frames.push_back({.function = function, .module = 0});
  EXPECT_EQ(TellingFrame(stack, report), &stack.frames[2]);
}

TEST(TellingFrame, IsTheFirstOutsideOfTheRuntime) {
  const Report report = WithModules();
  Stack stack;
  EXPECT_EQ(TellingFrame(stack, report), nullptr);
  stack.frames = {Named("raise"),
                  Named("std::vector<int>::at(unsigned long)", "/usr/include/c++/12/bits/stl_vector.h", 1),
                  Named(""), Named("Cache::find"), Named("main")};
  stack.frames[0].module = 1;
  EXPECT_EQ(TellingFrame(stack, report), &stack.frames[3]);
  stack.frames.resize(3);
  EXPECT_EQ(TellingFrame(stack, report), &stack.frames[0]) << "there is none";
}

}  // namespace
}  // namespace obit
