// Dies in a signal handler, which runs on a stack of its own. The signal comes from an instruction, so that
// it is certain where it interrupts.

#include "cause.h"

FUNCTION void report_to(int* where) {
  *where = 1;  // dies here
}

static void on_trap(int number) {
  report_to(HIDE(number == SIGTRAP ? (int*)NULL : &number));
  STAY();
}

FUNCTION long work(void) {
  static char memory[64 << 10];
  const stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
  struct sigaction action = {.sa_handler = on_trap, .sa_flags = SA_ONSTACK};
  if (sigaltstack(&stack, NULL) != 0) Fail("sigaltstack");
  if (sigaction(SIGTRAP, &action, NULL) != 0) Fail("sigaction");
  __asm__ volatile("int3; nop");  // interrupted here
  return 0;
}

DIES_IN(work)
