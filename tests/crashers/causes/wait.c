// Waits until somebody kills it.

#include "cause.h"

FUNCTION long idle(void) {
  for (;;) pause();  // dies here
  return 0;
}

DIES_IN(idle)
