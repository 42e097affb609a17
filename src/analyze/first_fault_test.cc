#include "analyze/first_fault.h"

#include <csignal>
#include <random>

#include "analyze/test_support.h"
#include "present/cause_sentence.h"

namespace obit {
namespace {

using namespace testing;

constexpr std::uint64_t kHandler = kCode + 0x100, kTrampoline = kCode + 0x200, kLeftOff = kCode + 0x300;
constexpr std::uint64_t kContext = kStack + 0x8000, kInterruptedSp = kStack + 0x10000;
constexpr std::size_t kSp = 20, kPc = 21, kSegments = 23, kError = 24, kTrapNumber = 25, kCr2 = 27,
                      kSiginfo = 38;

/// Is in a handler, which was called for a null read through rdi at kLeftOff.
class Handled : public DeadProcess {
 public:
  Handled() {
    Code({0x48, 0x8b, 0x47, 0x18}, 0x300);                     // mov 0x18(%rdi), %rax
    Code({0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05}, 0x200);  // mov $15, %rax; syscall
    registers().rip = kHandler;
    registers().rsp = registers().rbp = kContext - 16;
    registers().orig_rax = 234;  // tgkill
    registers().rdx = SIGABRT;
    registers().rdi = 1;
    Word(kContext - 8, kTrampoline);
    Frame(kSp, kInterruptedSp).Frame(kPc, kLeftOff).Frame(kSegments, 0x33);
    Fault(SIGSEGV, SEGV_MAPERR, 0x18, 14);
    Signal(SIGABRT, SI_TKILL).SentBy(4711, 0);
  }
  Handled& Frame(std::size_t word, std::uint64_t value) {
    Word(kContext + word * 8, value);
    return *this;
  }
  Handled& Fault(int number, int code, std::uint64_t address, std::uint64_t trap) {
    Frame(kSiginfo, static_cast<std::uint32_t>(number)).Frame(kSiginfo + 1, static_cast<std::uint32_t>(code));
    return Frame(kSiginfo + 2, address).Frame(kTrapNumber, trap).Frame(kCr2, address);
  }
};

/// There is no unwind information: the code of the trampoline says that its frame is one.
TEST(FirstFault, CountsAndNotTheAbortOfItsHandler) {
  const Report report = Handled().Analyze();
  EXPECT_EQ(CauseSentence(report.cause), "null pointer read at 0x18: rdi is null");
  ASSERT_TRUE(report.cause.first_fault);
  EXPECT_EQ(*report.cause.first_fault,
            (Cause::FirstFault{.signal = SIGSEGV, .code = SEGV_MAPERR, .address = 0x18}));
  ASSERT_TRUE(report.instruction);
  EXPECT_EQ(report.instruction->address, kLeftOff);
  for (const auto& reg : report.registers)
    if (reg.name == "rip") {
      EXPECT_EQ(reg.value, kLeftOff);
    }
}

TEST(FirstFault, TheStackGoesOnFromTheFrameOfTheSignal) {
  const Report report = Handled().Analyze();
  const auto& frames = report.stacks.front().frames;
  const auto interrupted = std::ranges::find_if(frames, &Frame::interrupted);
  ASSERT_NE(interrupted, frames.end());
  EXPECT_EQ(interrupted->pc, kLeftOff);
}

TEST(FirstFault, AlsoOfTheSameSignalOnceMore) {
  Handled dead;
  dead.registers().rdx = SIGSEGV;
  const Report report = dead.Signal(SIGSEGV, SI_TKILL).Analyze();
  EXPECT_EQ(report.cause.kind, CauseKind::kNullRead);
  EXPECT_TRUE(report.cause.first_fault);
}

/// The kernel has told such a handler nothing: the bytes of a siginfo are old ones.
TEST(FirstFault, IsKnownByItsInstructionWhereTheHandlerDidNotAsk) {
  Handled dead;
  dead.Fault(0, 0, 0, 14).Frame(kError, 4).Frame(kCr2, 0x18);
  const Report report = dead.Analyze();
  EXPECT_EQ(CauseSentence(report.cause), "null pointer read at 0x18: rdi is null");
  ASSERT_TRUE(report.cause.first_fault);
  EXPECT_EQ(report.cause.first_fault->code, SEGV_MAPERR);
  // The address is an earlier page fault's: this instruction does not touch that.
  EXPECT_FALSE(dead.Frame(kCr2, 0x20).Analyze().cause.first_fault);
  // Nor has it ever faulted: 0 is the number of a division's.
  EXPECT_FALSE(dead.Fault(0, 0, 0, 0).Analyze().cause.first_fault);
}

TEST(FirstFault, OfOtherExceptionsByTheirInstruction) {
  const auto kind = [](std::initializer_list<unsigned> code, std::uint64_t trap) {
    Handled dead;
    dead.Code(code, 0x300);
    dead.Fault(0, 0, 0, trap);
    dead.Frame(5 + 8, 0x4141414141414141);  // rdi
    return dead.Analyze().cause.kind;
  };
  EXPECT_EQ(kind({0xf7, 0xf9}, 0), CauseKind::kDivideByZero);  // idiv %ecx
  EXPECT_EQ(kind({0x0f, 0x0b}, 6), CauseKind::kTrap);
  EXPECT_EQ(kind({0x48, 0x8b, 0x47, 0x18}, 13), CauseKind::kWildPointer);
  EXPECT_EQ(kind({0xf4}, 13), CauseKind::kPrivilegedInstruction);
  EXPECT_EQ(kind({0x90}, 13), CauseKind::kAbort);
  EXPECT_EQ(kind({0x90}, 6), CauseKind::kAbort);
}

TEST(FirstFault, OfAThreadWhoseHandlerKilledAnotherOne) {
  Handled dead;
  const user_regs_struct handler = dead.registers();
  dead.AddThread(4712, handler);
  dead.registers() = {};
  dead.registers().rip = kCode;
  dead.registers().rsp = kStack + kStackBytes - 256;
  const Report report = dead.Analyze();
  EXPECT_EQ(report.cause.kind, CauseKind::kNullRead);
  EXPECT_TRUE(report.cause.first_fault);
  EXPECT_EQ(report.stacks.front().tids, std::vector<pid_t>{4712});
}

TEST(FirstFault, ASignalThatWasSentIsNone) {
  EXPECT_FALSE(Handled().Fault(SIGSEGV, SI_TKILL, 0, 0).Analyze().cause.first_fault);
  EXPECT_FALSE(Handled().Fault(SIGUSR1, SI_USER, 0, 0).Analyze().cause.first_fault);
  EXPECT_FALSE(Handled().Fault(SIGABRT, 1, 0, 0).Analyze().cause.first_fault);
}

TEST(FirstFault, IsNotBelievedOfAnotherProgramMode) {
  EXPECT_FALSE(Handled().Frame(kSegments, 0x23).Analyze().cause.first_fault);
}

TEST(FirstFault, WasLeftBehindByAHandlerThatHasReturned) {
  Handled dead;
  const std::uint64_t sp = kInterruptedSp;
  dead.registers() = {};
  dead.registers().rip = kLeftOff;
  dead.registers().rsp = sp;
  dead.registers().orig_rax = UINT64_MAX;
  const Report report = dead.Signal(SIGSEGV, SI_TKILL).Analyze();
  EXPECT_EQ(CauseSentence(report.cause), "null pointer read at 0x18: rdi is null");
  EXPECT_TRUE(report.cause.first_fault);
  // Other registers: it was another time.
  dead.registers().rbx = 7;
  EXPECT_FALSE(dead.Analyze().cause.first_fault);
}

/// Whatever the frame holds: there is a report.
TEST(FirstFault, AnyBytesMakeAReport) {
  std::mt19937_64 random(1);
  constexpr std::uint64_t kTold[] = {kContext, kTrampoline, kContext - 8, kStack, UINT64_MAX, kLeftOff, 0, 8};
  for (int i = 0; i < 200; ++i) {
    Handled dead;
    for (int changes = 0; changes < 4; ++changes)
      dead.Frame(random() % 44, random() % 2 == 0 ? random() : kTold[random() % std::size(kTold)]);
    const Report report = dead.Analyze();
    EXPECT_FALSE(report.stacks.empty());
  }
}

/// The frame says that its own trampoline was interrupted.
TEST(FirstFault, AFrameThatLeadsToItselfComesToAnEnd) {
  const Report report = Handled().Frame(kSp, kContext).Frame(kPc, kTrampoline).Analyze();
  EXPECT_LT(report.stacks.front().frames.size(), 64u);
}

}  // namespace
}  // namespace obit
