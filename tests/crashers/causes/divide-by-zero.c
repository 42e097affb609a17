#include "cause.h"

FUNCTION long mean(void) {
  const long sum = HIDE(12L), count = HIDE(0L);
  return sum / count;  // dies here
}

DIES_IN(mean)
