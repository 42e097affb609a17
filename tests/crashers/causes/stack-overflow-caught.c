// A recursion without end, in a program that catches SIGSEGV. The argument says how: "same-stack", where
// there is no room for the handler; "own-stack", and the handler aborts.

#include "cause.h"

volatile long calls;  // the tests ask gdb for it

static char memory[64 << 10];

static void on_fault(int number, siginfo_t* info, void* context) {
  (void)number, (void)info, (void)context;
  abort();
}

FUNCTION long recurse(long depth) {
  char buffer[64];
  calls = calls + 1;
  if (HIDE(0)) return 0;
  memset(HIDE(&buffer[0]), (int)depth, sizeof buffer);
  return recurse(depth + 1) + buffer[0];
}

FUNCTION long begin(void) {
  const stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  if (strcmp(arguments[0], "own-stack") == 0) action.sa_flags |= SA_ONSTACK;
  if (sigaltstack(&stack, NULL) != 0) Fail("sigaltstack");
  if (sigaction(SIGSEGV, &action, NULL) != 0) Fail("sigaction");
  const long result = recurse(0);
  STAY();
  return result;
}

DIES_IN(begin)
