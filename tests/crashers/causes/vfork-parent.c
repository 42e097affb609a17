// Is killed in vfork(2), where the return address is in a register: the child has the same stack.

#include "cause.h"

FUNCTION long start_helper(void) {
  const pid_t child = vfork();  // dies here
  if (child == 0) {
    kill(getppid(), SIGSEGV);
    _exit(0);
  }
  STAY();
  return child;
}

DIES_IN(start_helper)
