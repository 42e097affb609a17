#include "cause.h"

volatile long calls;  // of both; the tests ask gdb for it

FUNCTION long odd(long number);

FUNCTION long even(long number) {
  calls = calls + 1;
  if (HIDE(0)) return 1;
  return odd(number - 1) + 1;
}

FUNCTION long odd(long number) {
  calls = calls + 1;
  if (HIDE(0)) return 0;
  return even(number - 1) + 1;
}

FUNCTION long begin(void) {
  const long result = even(1000000);
  STAY();
  return result;
}

DIES_IN(begin)
