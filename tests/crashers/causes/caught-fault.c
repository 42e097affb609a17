// A handler catches a fault, and the process dies of what it does then. The first argument says what that is:
// "abort", "raise" (while the signal is blocked: it comes when the handler has returned), "raise-now",
// "kill", "fault" (once more, in the handler); the second whether the handler has a stack of its own.

#include "cause.h"

struct entry {
  long key[3], value;
};

static char memory[64 << 10];

FUNCTION void give_up(int number) {
  const char* how = arguments[0];
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "fault") == 0) *HIDE((int*)0x20) = number;
  signal(number, SIG_DFL);
  if (strcmp(how, "kill") == 0)
    kill(getpid(), number);
  else
    raise(number);
  STAY();
}

static void on_fault(int number) { give_up(number); }

FUNCTION long look_up(void) {
  const stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
  struct sigaction action = {.sa_handler = on_fault};
  if (strcmp(arguments[1], "own-stack") == 0) action.sa_flags |= SA_ONSTACK;
  if (strcmp(arguments[0], "raise-now") == 0 || strcmp(arguments[0], "kill") == 0)
    action.sa_flags |= SA_NODEFER;
  if (sigaltstack(&stack, NULL) != 0) Fail("sigaltstack");
  if (sigaction(SIGSEGV, &action, NULL) != 0) Fail("sigaction");
  const struct entry* entry = HIDE((const struct entry*)NULL);
  return entry->value;  // dies here
}

DIES_IN(look_up)
