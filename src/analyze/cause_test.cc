#include "analyze/cause.h"

#include <csignal>

#include "analyze/test_support.h"
#include "present/cause_sentence.h"

namespace obit {
namespace {

using namespace testing;

/// movl $1, 0x18(%rdi); mov 0x18(%rdi), %rax; call *%rax; push %rax; ret
constexpr std::initializer_list<unsigned> kWriteAtRdi = {0xc7, 0x47, 0x18, 1, 0, 0, 0},
                                          kReadAtRdi = {0x48, 0x8b, 0x47, 0x18}, kCallRax = {0xff, 0xd0},
                                          kPush = {0x50}, kReturn = {0xc3};

std::string SentenceOf(const Report& report) { return CauseSentence(report.cause); }

TEST(Cause, NullPointerWithItsOffsetAndRegister) {
  DeadProcess dead;
  dead.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_MAPERR, 0x18);
  const Report report = dead.Analyze();
  EXPECT_EQ(report.cause.kind, CauseKind::kNullRead);
  EXPECT_EQ(SentenceOf(report), "null pointer read at 0x18: rdi is null");
  EXPECT_FALSE(report.cause.guess);
  EXPECT_EQ(SentenceOf(DeadProcess().Code(kWriteAtRdi).Signal(SIGSEGV, SEGV_MAPERR, 0x18).Analyze()),
            "null pointer write at 0x18: rdi is null");
}

TEST(Cause, SmallAddressWithoutNullRegisterIsStillANullPointer) {
  DeadProcess dead;
  dead.registers().rdi = 0x20;
  EXPECT_EQ(SentenceOf(dead.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_MAPERR, 0x38).Analyze()),
            "null pointer read at 0x38");
}

TEST(Cause, LargeIndexIntoANullArray) {
  DeadProcess dead;
  dead.registers().rcx = 0x1000000;
  dead.Code({0x8b, 0x04, 0x8f}).Signal(SIGSEGV, SEGV_MAPERR, 0x4000000);  // mov (%rdi,%rcx,4), %eax
  EXPECT_EQ(SentenceOf(dead.Analyze()), "null pointer read at 0x4000000: rdi is null");
}

TEST(Cause, CallsThatGoNowhere) {
  DeadProcess null;
  null.registers().rip = 0;
  null.Code(kCallRax, 8).Word(null.registers().rsp, kCode + 10);
  EXPECT_EQ(null.Signal(SIGSEGV, SEGV_MAPERR, 0).Analyze().cause.kind, CauseKind::kNullCall);
  DeadProcess data;
  data.registers().rip = kData + 8;
  EXPECT_EQ(SentenceOf(data.Signal(SIGSEGV, SEGV_ACCERR, kData + 8).Analyze()),
            "execution of non-executable memory at 0x600008");
  DeadProcess unmapped;
  unmapped.registers().rip = 0x12345000;
  EXPECT_EQ(SentenceOf(unmapped.Signal(SIGSEGV, SEGV_MAPERR, 0x12345000).Analyze()),
            "call of unmapped memory at 0x12345000");
}

TEST(Cause, MemoryThatWasLeftOutWasThere) {
  constexpr std::uint64_t kLeftOut = 0x12345000;
  DeadProcess called;
  called.registers().rip = kLeftOut + 8;
  called.LeaveOut(kLeftOut, kPageBytes, PF_R | PF_W);
  EXPECT_EQ(SentenceOf(called.Signal(SIGSEGV, SEGV_ACCERR, kLeftOut + 8).Analyze()),
            "execution of non-executable memory at 0x12345008");
  DeadProcess read;
  read.registers().rdi = kLeftOut;
  read.LeaveOut(kLeftOut, kPageBytes, 0);
  EXPECT_EQ(SentenceOf(read.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_ACCERR, kLeftOut + 0x18).Analyze()),
            "read of protected memory at 0x12345018");
  DeadProcess elsewhere;
  elsewhere.registers().rdi = 0x5000000;
  elsewhere.LeaveOut(kLeftOut, kPageBytes, PF_R | PF_W);
  EXPECT_EQ(SentenceOf(elsewhere.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_MAPERR, 0x5000018).Analyze()),
            "read of unmapped memory at 0x5000018");
}

TEST(Cause, UnmappedMemory) {
  DeadProcess dead;
  dead.registers().rdi = 0x5000000;
  EXPECT_EQ(SentenceOf(dead.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_MAPERR, 0x5000018).Analyze()),
            "read of unmapped memory at 0x5000018");
  EXPECT_EQ(SentenceOf(dead.Code(kWriteAtRdi).Analyze()), "write to unmapped memory at 0x5000018");
}

TEST(Cause, AccessIsAGuessWhereTheInstructionDoesNotTouchTheAddress) {
  DeadProcess dead;
  dead.registers().rdi = 0x5000000;
  EXPECT_TRUE(dead.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_MAPERR, 0x6000000).Analyze().cause.guess);
}

TEST(Cause, ProtectedMemory) {
  DeadProcess dead;
  dead.registers().rdi = kReadOnly;
  EXPECT_EQ(SentenceOf(dead.Code(kWriteAtRdi).Signal(SIGSEGV, SEGV_ACCERR, kReadOnly + 0x18).Analyze()),
            "write to read-only memory at 0x700018");
  dead.registers().rdi = kNoAccess;
  EXPECT_EQ(SentenceOf(dead.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_ACCERR, kNoAccess + 0x18).Analyze()),
            "read of protected memory at 0x800018");
}

TEST(Cause, WildPointersHaveNoAddressFromTheKernel) {
  DeadProcess dead;
  dead.registers().rdi = 0x4141414141414141;
  dead.registers().rax = 0x4343434343434343;
  EXPECT_EQ(SentenceOf(dead.Code(kReadAtRdi).Signal(SIGSEGV, SI_KERNEL).Analyze()),
            "read through a wild pointer in rdi: 0x4141414141414141");
  EXPECT_EQ(SentenceOf(dead.Code(kCallRax).Analyze()),
            "call through a wild pointer in rax: 0x4343434343434343");
  dead.Word(dead.registers().rsp, 0x4242424242424242);
  EXPECT_EQ(SentenceOf(dead.Code(kReturn).Analyze()),
            "return to a wild address: 0x4242424242424242: the stack was overwritten");
  EXPECT_EQ(SentenceOf(dead.Code({0xf4}).Analyze()), "privileged instruction: hlt");
}

TEST(Cause, StackOverflowByAPush) {
  DeadProcess dead;
  dead.registers().rsp = kStack;
  const Report report = dead.Code(kPush).Signal(SIGSEGV, SEGV_MAPERR, kStack - 8).Analyze();
  EXPECT_EQ(report.cause.kind, CauseKind::kStackOverflow);
  EXPECT_FALSE(report.cause.guess) << "stack, stack pointer and address say so";
}

TEST(Cause, BadInstructions) {
  EXPECT_EQ(SentenceOf(DeadProcess().Code({0x0f, 0x0b}).Signal(SIGILL, ILL_ILLOPN, kCode).Analyze()),
            "deliberate trap (ud2)");
  EXPECT_EQ(DeadProcess().Code({0x06}).Signal(SIGILL, ILL_ILLOPN, kCode).Analyze().cause.kind,
            CauseKind::kIllegalInstruction);
  DeadProcess trap;
  trap.registers().rip = kCode + 1;
  EXPECT_EQ(SentenceOf(trap.Code({0xcc}).Signal(SIGTRAP, SI_KERNEL).Analyze()), "breakpoint trap (int3)");
}

TEST(Cause, Divisions) {
  DeadProcess dead;  // idiv %ecx
  dead.Code({0xf7, 0xf9}).Signal(SIGFPE, FPE_INTDIV, kCode);
  EXPECT_EQ(SentenceOf(dead.Analyze()), "integer division by zero");
  dead.registers().rcx = 0xffffffff;
  dead.registers().rax = 0x80000000;
  dead.registers().rdx = 0xffffffff;
  EXPECT_EQ(SentenceOf(dead.Analyze()), "integer overflow in a division by -1");
  dead.registers().rax = 8;
  dead.registers().rdx = 0;
  EXPECT_EQ(SentenceOf(dead.Analyze()), "probably: integer overflow in a division by -1")
      << "these registers divide well";
}

TEST(Cause, DivisionsOfEachSizeAndPlace) {
  const auto sentence = [](std::initializer_list<unsigned> code, std::uint64_t rax, std::uint64_t rdx,
                           std::uint64_t divisor) {
    DeadProcess dead;
    dead.registers().rax = rax;
    dead.registers().rdx = rdx;
    dead.registers().rcx = divisor;
    dead.registers().rsi = kStack + 64;
    dead.Word(kStack + 64, divisor);
    return SentenceOf(dead.Code(code).Signal(SIGFPE, FPE_INTDIV, kCode).Analyze());
  };
  const std::initializer_list<unsigned> kByte = {0xf6, 0xf1}, kHighByte = {0xf6, 0xf5},
                                        kWord = {0x66, 0xf7, 0xf9}, kLong = {0x48, 0xf7, 0xf9},
                                        kLongUnsigned = {0x48, 0xf7, 0xf1}, kMemory = {0x48, 0xf7, 0x3e};
  EXPECT_EQ(sentence(kByte, 1000, 0, 3), "integer overflow in a division by 3");
  EXPECT_EQ(sentence(kHighByte, 1000, 0, 0x0300), "integer overflow in a division by 3");
  EXPECT_EQ(sentence(kHighByte, 1000, 0, 0x00ff), "integer division by zero");
  EXPECT_EQ(sentence(kWord, 0x8000, 0xffff, 0xffff), "integer overflow in a division by -1");
  EXPECT_EQ(sentence(kLong, 1ULL << 63, UINT64_MAX, UINT64_MAX), "integer overflow in a division by -1");
  EXPECT_EQ(sentence(kLong, 0, 1ULL << 63, UINT64_MAX), "integer overflow in a division by -1");
  EXPECT_EQ(sentence(kLongUnsigned, 0, 5, 5), "integer overflow in a division by 5");
  EXPECT_EQ(sentence(kMemory, 1, 0, 0), "integer division by zero");
  EXPECT_EQ(sentence(kMemory, 1, 5, 2), "integer overflow in a division by 2");
}

TEST(Cause, FloatingPoint) {
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGFPE, FPE_FLTDIV, kCode).Analyze()),
            "floating-point division by zero");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGFPE, FPE_FLTRES, kCode).Analyze()),
            "inexact floating-point result");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGFPE, 0, kCode).Analyze()), "died of SIGFPE");
}

TEST(Cause, SanitizersSayWhichCheckItWas) {
  const auto of = [](std::initializer_list<unsigned> code) {
    return SentenceOf(DeadProcess().Code(code).Signal(SIGILL, ILL_ILLOPN, kCode).Analyze());
  };
  EXPECT_THAT(of({0x67, 0x0f, 0xb9, 0x00}), ::testing::EndsWith("integer overflow in an addition"));
  EXPECT_THAT(of({0x67, 0x0f, 0xb9, 0x40, 0x12}), ::testing::EndsWith("an index is out of bounds"));
  EXPECT_THAT(of({0x67, 0x0f, 0xb9, 0x40, 0xfe}), ::testing::EndsWith("check 254"));
  EXPECT_EQ(of({0x0f, 0xb9, 0xc0}), "deliberate trap (ud1)");
}

TEST(Cause, MisalignedVectors) {
  DeadProcess dead;
  dead.registers().rdi = kData + 4;
  EXPECT_EQ(SentenceOf(dead.Code({0x0f, 0x29, 0x07}).Signal(SIGSEGV, SI_KERNEL).Analyze()),
            "misaligned write at 0x600004, not a multiple of 16: movaps %xmm0, (%rdi)");
  EXPECT_EQ(SentenceOf(dead.Code({0xc5, 0xfc, 0x28, 0x07}).Analyze()),
            "misaligned read at 0x600004, not a multiple of 32: vmovaps (%rdi), %ymm0");
  // One that takes any address, and so was refused for something else.
  EXPECT_EQ(dead.Code({0x0f, 0x11, 0x07}).Analyze().cause.kind, CauseKind::kGeneralProtection);
}

TEST(Cause, StackPointersThatCannotBe) {
  DeadProcess dead;
  dead.registers().rsp = 0x4141414141414140;
  EXPECT_EQ(SentenceOf(dead.Code(kPush).Signal(SIGBUS, SI_KERNEL).Analyze()),
            "write through a wild pointer in rsp: 0x4141414141414140");
  EXPECT_EQ(SentenceOf(dead.Code(kReturn).Analyze()),
            "read through a wild pointer in rsp: 0x4141414141414140");
  DeadProcess unmapped;
  unmapped.registers().rsp = 0x5000000;
  EXPECT_EQ(SentenceOf(unmapped.Code(kPush).Signal(SIGSEGV, SEGV_MAPERR, 0x4fffff8).Analyze()),
            "write to unmapped memory at 0x4fffff8: the stack pointer is wild");
}

TEST(Cause, CallThroughMemoryThatHoldsAWildPointer) {
  DeadProcess dead;
  dead.registers().rax = kStack + 64;
  dead.Word(kStack + 64, 0x4343434343434343);
  EXPECT_EQ(SentenceOf(dead.Code({0xff, 0x10}).Signal(SIGSEGV, SI_KERNEL).Analyze()),
            "call through a wild pointer: 0x4343434343434343");
}

TEST(Cause, PrivilegedInstructions) {
  const auto of = [](std::initializer_list<unsigned> code) {
    return SentenceOf(DeadProcess().Code(code).Signal(SIGSEGV, SI_KERNEL).Analyze());
  };
  EXPECT_EQ(of({0xe4, 0x60}), "privileged instruction: in $0x60, %al");
  EXPECT_EQ(of({0xcd, 0x42}), "privileged instruction: int $0x42");
  EXPECT_EQ(of({0xfa}), "privileged instruction: cli");
}

TEST(Cause, ProtectionKeys) {
  DeadProcess dead;
  dead.registers().rdi = kData;
  EXPECT_EQ(SentenceOf(dead.Code(kWriteAtRdi).Signal(SIGSEGV, 4, kData + 0x18).Analyze()),
            "write to memory that a protection key forbids at 0x600018");
}

TEST(Cause, WritesToWhatHasNoAccess) {
  DeadProcess dead;
  dead.registers().rdi = kNoAccess;
  EXPECT_EQ(SentenceOf(dead.Code(kWriteAtRdi).Signal(SIGSEGV, SEGV_ACCERR, kNoAccess + 0x18).Analyze()),
            "write to protected memory at 0x800018");
}

TEST(Cause, ReturnsThatGoNowhere) {
  DeadProcess dead;
  dead.registers().rip = 0x12345000;
  dead.registers().rsp = kStack + 0x1000;
  dead.Word(kStack + 0x1000 - 8, 0x12345000);
  EXPECT_EQ(SentenceOf(dead.Signal(SIGSEGV, SEGV_MAPERR, 0x12345000).Analyze()),
            "return to unmapped memory at 0x12345000: the stack was overwritten");
}

TEST(Cause, ReturnsToNull) {
  DeadProcess dead;  // nothing that was called left where to go back
  dead.registers().rip = 0;
  EXPECT_EQ(SentenceOf(dead.Signal(SIGSEGV, SEGV_MAPERR, 0).Analyze()),
            "return to unmapped memory at 0x0: the stack was overwritten");
}

TEST(Cause, NoRoomForTheFrameOfAHandlerIsAStackOverflow) {
  DeadProcess dead;  // the access is known by the instruction alone
  dead.registers().rsp = kStack;
  EXPECT_EQ(dead.Code(kPush).Signal(SIGSEGV, SI_KERNEL).Analyze().cause.kind, CauseKind::kStackOverflow);
}

TEST(Cause, FramesLargerThanTheStack) {
  DeadProcess dead;  // movb $1, 0x10(%rsp), 64 MiB below the stack
  dead.registers().rsp = kStack - (64 << 20);
  dead.registers().rbp = kStack + 0x1000;
  dead.Code({0xc6, 0x44, 0x24, 0x10, 1}).Signal(SIGSEGV, SEGV_MAPERR, kStack - (64 << 20) + 0x10);
  EXPECT_EQ(dead.Analyze().cause.kind, CauseKind::kStackOverflow);
}

TEST(Cause, WildPointersNearAStackAreNoOverflow) {
  DeadProcess dead;
  dead.registers().rdi = kStack - 0x100;
  EXPECT_EQ(SentenceOf(dead.Code(kReadAtRdi).Signal(SIGSEGV, SEGV_MAPERR, kStack - 0xe8).Analyze()),
            "read of unmapped memory at 0x7ffffffddf18");
  dead.registers().rsp = kStack + 0x200;  // little is left, and yet
  EXPECT_EQ(dead.Analyze().cause.kind, CauseKind::kUnmappedRead);
  DeadProcess index;  // mov (%rsp,%rcx,4), %eax
  index.registers().rsp = kStack + 0x200;
  index.registers().rcx = static_cast<std::uint64_t>(-0x100);
  EXPECT_EQ(SentenceOf(index.Code({0x8b, 0x04, 0x8c}).Signal(SIGSEGV, SEGV_MAPERR, kStack - 0x200).Analyze()),
            "read of unmapped memory at 0x7ffffffdde00");
}

TEST(Cause, SentSignals) {
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGSEGV, SI_USER).SentBy(812, 1000).Analyze()),
            "killed by SIGSEGV from process 812 (uid 1000)");
  DeadProcess itself;
  itself.registers().orig_rax = 14;  // rt_sigprocmask, with which raise(3) of many libraries ends
  EXPECT_EQ(SentenceOf(itself.Signal(SIGQUIT, SI_TKILL).SentBy(4711, 1000).Analyze()),
            "killed itself with SIGQUIT");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGABRT, SI_USER).SentBy(0, 0).Analyze()),
            "killed by SIGABRT from outside its pid namespace");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGABRT, SI_TIMER).Analyze()),
            "killed by SIGABRT from a timer of its own");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGABRT, SI_MESGQ).Analyze()),
            "killed by SIGABRT that was queued for it");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGQUIT, SI_KERNEL).Analyze()),
            "quit from the terminal (Ctrl-\\)");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGABRT, SI_KERNEL).Analyze()),
            "killed by SIGABRT from the kernel");
  EXPECT_EQ(SentenceOf(itself.Signal(SIGABRT, SI_USER).SentBy(4711, 0).Analyze()),
            "killed itself with SIGABRT")
      << "by kill(2), not by abort()";
  itself.registers().orig_rax = 34;  // pause: a signal of its own would have come before
  EXPECT_EQ(SentenceOf(itself.Signal(SIGABRT, SI_TKILL).Analyze()),
            "probably: killed by SIGABRT from another thread of its own");
  EXPECT_EQ(DeadProcess().Signal(SIGXCPU, SI_KERNEL).Analyze().cause.kind, CauseKind::kCpuLimit);
}

TEST(Cause, OtherThreadsOfTheProcessSendSignalsToo) {
  DeadProcess dead;
  dead.AddThread(4712, {});
  dead.Signal(SIGABRT, SI_TKILL).SentBy(4711, 1000);
  EXPECT_EQ(SentenceOf(dead.Analyze()), "killed by SIGABRT from another thread of its own");
  dead.registers().orig_rax = 234;  // tgkill: this one
  dead.registers().rdx = SIGABRT;
  EXPECT_EQ(dead.Analyze().cause.kind, CauseKind::kAbort);
  dead.registers().rdx = SIGUSR1;
  EXPECT_EQ(dead.Analyze().cause.kind, CauseKind::kKilled) << "it sent another signal";
}

TEST(Cause, ASignalThatCameBetweenInstructionsWasNotSentByThem) {
  DeadProcess dead;  // the thread that sent it is gone
  dead.registers().orig_rax = UINT64_MAX;
  EXPECT_EQ(SentenceOf(dead.Signal(SIGABRT, SI_TKILL).SentBy(4711, 1000).Analyze()),
            "probably: killed by SIGABRT from another thread of its own");
}

TEST(Cause, InstructionsThatGoOnWhereNoCodeIs) {
  DeadProcess dead;  // movabs across the end of the code
  dead.registers().rip = kCode + kPageBytes - 2;
  dead.Code({0x48, 0xb8}, kPageBytes - 2);
  EXPECT_EQ(dead.Signal(SIGSEGV, SEGV_MAPERR, kCode + kPageBytes).Analyze().cause.kind,
            CauseKind::kExecuteNonExecutable);
}

TEST(Cause, BusErrors) {
  DeadProcess dead;
  dead.registers().rdi = kData + 1;
  EXPECT_EQ(SentenceOf(dead.Code(kReadAtRdi).Signal(SIGBUS, BUS_ADRALN, 0).Analyze()),
            "misaligned read at 0x600019, not a multiple of 8: mov 0x18(%rdi), %rax");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGBUS, BUS_ADRERR, kData).Analyze()), "bus error at 0x600000");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGBUS, BUS_MCEERR_AR, 0x1000).Analyze()),
            "the hardware lost memory at 0x1000");
}

}  // namespace
}  // namespace obit
