#include "cause.h"

FUNCTION long inspect(void) {
  __asm__ volatile("int3; nop");  // dies here, and would go on behind int3
  return 0;
}

DIES_IN(inspect)
