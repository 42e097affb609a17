#include "cause.h"

volatile long calls;  // the tests ask gdb for it

FUNCTION long recurse(long depth) {
  char buffer[64];
  calls = calls + 1;
  if (HIDE(0)) return 0;
  memset(HIDE(&buffer[0]), (int)depth, sizeof buffer);
  return recurse(depth + 1) + buffer[0];
}

FUNCTION long begin(void) {
  const long result = recurse(0);
  STAY();
  return result;
}

DIES_IN(begin)
