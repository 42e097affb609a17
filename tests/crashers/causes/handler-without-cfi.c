// Dies in a signal handler that returns to code of which there is no call frame information, as that of Go.

#define _GNU_SOURCE
#include <sys/syscall.h>

#include "cause.h"

void return_from_signal(void);
__asm__(
    ".text\n.globl return_from_signal\nreturn_from_signal:\n"
    "  mov $15, %rax\n  syscall\n  int3\n");

// As rt_sigaction(2) takes it (asm/signal.h).
struct kernel_action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

static void on_trap(int number) {
  *HIDE(number == SIGTRAP ? (int*)NULL : &number) = 1;  // dies here
  STAY();
}

FUNCTION long work(void) {
  const unsigned long kRestorer = 0x04000000;
  const struct kernel_action action = {
      .handler = on_trap, .flags = kRestorer, .restorer = return_from_signal};
  if (syscall(SYS_rt_sigaction, SIGTRAP, &action, NULL, sizeof action.mask) != 0) Fail("rt_sigaction");
  __asm__ volatile("int3; nop");  // interrupted here
  return 0;
}

DIES_IN(work)
