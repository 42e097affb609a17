#include "cause.h"

FUNCTION long never(void) {
  if (HIDE(1)) __builtin_trap();  // dies here
  return 0;
}

DIES_IN(never)
