#include "analyze/unwinder.h"

#include "analyze/test_support.h"

namespace obit {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// An address behind a call: kCode + 0x105, 0x205, ...
constexpr std::uint64_t Caller(unsigned number) { return kCode + number * 0x100 + 5; }

DeadProcess WithCalls() {
  DeadProcess dead;
  for (unsigned i = 1; i <= 4; ++i) dead.Code({0xe8, 0, 0, 0, 0}, i * 0x100);
  dead.Signal(SIGSEGV, SEGV_MAPERR, 0);
  return dead;
}

std::vector<std::uint64_t> Pcs(const Report& report) {
  std::vector<std::uint64_t> pcs;
  for (const Frame& frame : report.stacks.at(0).frames) pcs.push_back(frame.pc);
  return pcs;
}

TEST(Unwinder, FollowsFramePointersWithoutOtherInformation) {
  DeadProcess dead = WithCalls();
  const std::uint64_t sp = dead.registers().rsp;
  dead.registers().rbp = sp + 16;
  dead.Word(sp + 16, sp + 64).Word(sp + 24, Caller(1)).Word(sp + 64, 0).Word(sp + 72, Caller(2));
  const Report report = dead.Analyze();
  EXPECT_THAT(Pcs(report), ElementsAre(kCode, Caller(1), Caller(2)));
  EXPECT_EQ(report.stacks[0].frames[1].origin, FrameOrigin::kFramePointer);
  EXPECT_THAT(report.stacks[0].end, HasSubstr("code without a file")) << "an end is never silent";
}

TEST(Unwinder, TakesTheReturnAddressOfACallThatWentNowhere) {
  DeadProcess dead = WithCalls();
  dead.registers().rip = 0;
  dead.Word(dead.registers().rsp, Caller(3));
  const Report report = dead.Analyze();
  EXPECT_THAT(Pcs(report), ElementsAre(0, Caller(3)));
  EXPECT_EQ(report.stacks[0].frames[1].origin, FrameOrigin::kReturnAddress);
}

TEST(Unwinder, ScansForWhatLooksLikeAReturnAddress) {
  DeadProcess dead = WithCalls();
  dead.Word(dead.registers().rsp + 40, kCode + 0x80)  // code, but no call before it
      .Word(dead.registers().rsp + 80, Caller(4));
  const Report report = dead.Analyze();
  EXPECT_THAT(Pcs(report), ElementsAre(kCode, Caller(4)));
  EXPECT_EQ(report.stacks[0].frames[1].origin, FrameOrigin::kScan);
}

TEST(Unwinder, HasAnEndForAllStacksTogether) {
  constexpr std::size_t kDeep = 200;
  DeadProcess dead = WithCalls();
  std::uint64_t frame = kStack + 0x1000;
  dead.registers().rsp = frame;
  dead.registers().rbp = frame;
  for (std::size_t i = 0; i < kDeep; ++i, frame += 16)
    dead.Word(frame, frame + 16).Word(frame + 8, Caller(1));
  CoreImage image = *CoreImage::Open(StoredFile(dead.Core()));
  std::vector<ModuleFiles> none;
  Modules modules(none, image);
  Unwinder unwinder(image, modules, kDeep);
  const Registers innermost(image.arch(), image.notes().threads.front().registers);
  EXPECT_EQ(unwinder.Unwind(innermost).frames.size(), kDeep + 1);
  const RawStack next = unwinder.Unwind(innermost);
  EXPECT_EQ(next.frames.size(), Unwinder::kFramesLeft);
  EXPECT_THAT(next.end, HasSubstr("there are more frames"));
}

TEST(Unwinder, DoesNotGoRoundInFramePointers) {
  DeadProcess dead = WithCalls();
  const std::uint64_t sp = dead.registers().rsp;
  dead.registers().rbp = sp + 16;
  dead.Word(sp + 16, sp + 16).Word(sp + 24, Caller(1));
  EXPECT_LE(dead.Analyze().stacks[0].frames.size(), 2u);
}

TEST(Unwinder, SaysThatTheStackIsNotThere) {
  DeadProcess dead = WithCalls();
  dead.registers().rsp = 0x10;
  EXPECT_THAT(dead.Analyze().stacks[0].end, HasSubstr("the stack at 0x10 is not in the core"));
}

/// The registers that the kernel kept when it called a signal handler, at `at`.
void PutContext(DeadProcess& dead, std::uint64_t at, std::uint64_t pc, std::uint64_t sp, std::uint64_t bp) {
  dead.Word(at, 7).Word(at + 40 + 8 * 10, bp).Word(at + 40 + 8 * 15, sp).Word(at + 40 + 8 * 16, pc);
}

TEST(Unwinder, KnowsWhatAHandlerReturnsToByItsBytes) {
  const std::initializer_list<unsigned> ways[] = {{0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05},
                                                  {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05},
                                                  {0x6a, 0x0f, 0x58, 0x0f, 0x05}};
  for (const auto& way : ways) {
    DeadProcess dead = WithCalls();
    const std::uint64_t trampoline = kCode + 0x600, sp = dead.registers().rsp;
    dead.Code(way, 0x600);
    dead.registers().rbp = sp;
    dead.Word(sp, 0).Word(sp + 8, trampoline);
    const std::uint64_t other = kStack + 0x1000;  // the handler has a stack of its own, above
    PutContext(dead, sp + 16, kCode + 0x40, other, other + 32);
    dead.Word(other + 32, 0).Word(other + 40, Caller(2));
    const Report report = dead.Analyze();
    EXPECT_THAT(Pcs(report), ElementsAre(kCode, trampoline, kCode + 0x40, Caller(2)));
    EXPECT_TRUE(report.stacks[0].frames.at(2).interrupted);
  }
}

TEST(Unwinder, FollowsACallThatWentNowhereAndASignalThatCameOfIt) {
  DeadProcess dead = WithCalls();
  const std::uint64_t sp = dead.registers().rsp, other = kStack + 0x1000;
  dead.Code({0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05}, 0x600);
  dead.registers().rbp = sp;
  dead.Word(sp, 0).Word(sp + 8, kCode + 0x600);
  PutContext(dead, sp + 16, 0, other, 0);
  dead.Word(other, Caller(3));
  EXPECT_THAT(Pcs(dead.Analyze()), ElementsAre(kCode, kCode + 0x600, 0, Caller(3)));
}

TEST(Unwinder, BelievesNoContextThatTheKernelDidNotWrite) {
  DeadProcess dead = WithCalls();
  const std::uint64_t sp = dead.registers().rsp;
  dead.Code({0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05}, 0x600);
  dead.registers().rbp = sp;
  dead.Word(sp, 0).Word(sp + 8, kCode + 0x600);
  PutContext(dead, sp + 16, kCode + 0x40, kStack + 0x1000, 0);
  dead.Word(sp + 16, ~0ULL);
  EXPECT_THAT(Pcs(dead.Analyze()), ElementsAre(kCode, kCode + 0x600));
}

TEST(Unwinder, FindsTheReturnAddressThatVforkKeepsInARegister) {
  for (const bool glibc : {true, false}) {
    DeadProcess dead = WithCalls();
    dead.Code({0xb8, 58, 0, 0, 0, 0x0f, 0x05}, 0x700);  // mov $58,%eax; syscall
    dead.registers().rip = kCode + 0x707;
    (glibc ? dead.registers().rdi : dead.registers().rdx) = Caller(1);
    const std::uint64_t sp = dead.registers().rsp;
    dead.registers().rbp = sp + 16;
    dead.Word(sp, Caller(4)).Word(sp + 16, 0).Word(sp + 24, Caller(2));
    EXPECT_THAT(Pcs(dead.Analyze()), ElementsAre(kCode + 0x707, Caller(1), Caller(2)));
  }
}

TEST(Unwinder, ThreadsWithTheSameFramesAreOneStack) {
  DeadProcess dead = WithCalls();
  user_regs_struct other = dead.registers();
  other.rip = kCode + 0x40;
  for (pid_t tid = 5001; tid <= 5003; ++tid) dead.AddThread(tid, other);
  dead.AddThread(5004, dead.registers());
  const Report report = dead.Analyze();
  ASSERT_EQ(report.stacks.size(), 3u);
  EXPECT_THAT(report.stacks[0].tids, ElementsAre(4711)) << "the one that crashed stays alone";
  EXPECT_THAT(report.stacks[1].tids, ElementsAre(5001, 5002, 5003));
  EXPECT_EQ(report.threads, 5u);
}

}  // namespace
}  // namespace obit
