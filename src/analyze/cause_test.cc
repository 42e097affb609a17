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
  EXPECT_TRUE(report.cause.guess) << "there is no recursion to be seen";
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
  EXPECT_EQ(SentenceOf(dead.Analyze()), "integer overflow in a division by -1");
}

TEST(Cause, SentSignals) {
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGSEGV, SI_USER).SentBy(812, 1000).Analyze()),
            "killed by SIGSEGV from process 812 (uid 1000)");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGQUIT, SI_TKILL).SentBy(4711, 1000).Analyze()),
            "killed itself with SIGQUIT");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGABRT, SI_USER).SentBy(0, 0).Analyze()),
            "killed by SIGABRT from outside its pid namespace");
  EXPECT_EQ(DeadProcess().Signal(SIGXCPU, SI_KERNEL).Analyze().cause.kind, CauseKind::kCpuLimit);
}

TEST(Cause, BusErrors) {
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGBUS, BUS_ADRALN, 0x123).Analyze()), "bus error at 0x123");
  EXPECT_EQ(SentenceOf(DeadProcess().Signal(SIGBUS, BUS_MCEERR_AR, 0x1000).Analyze()),
            "the hardware lost memory at 0x1000");
}

}  // namespace
}  // namespace obit
