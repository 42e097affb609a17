// A division by zero, in a handler for another signal; the handler for the division aborts. Both signals come
// from instructions.

#include "cause.h"

static void on_division(int number) {
  (void)number;
  abort();
}

FUNCTION long mean(void) {
  const long sum = HIDE(12L), count = HIDE(0L);
  return sum / count;  // dies here
}

static void on_trap(int number) {
  (void)number;
  mean();
  STAY();
}

FUNCTION long work(void) {
  signal(SIGFPE, on_division);
  signal(SIGTRAP, on_trap);
  __asm__ volatile("int3; nop");
  return 0;
}

DIES_IN(work)
