// Functions that call each other in no order, so that no cycle of return addresses comes again and again.

#include "cause.h"

volatile long calls;  // the tests ask gdb for it
static unsigned seed = 1;

FUNCTION int next_bit(void) {
  seed = seed * 1103515245 + 12345;
  return seed >> 16 & 1;
}

__attribute__((noipa)) static long left(long depth);

FUNCTION long right(long depth) {
  volatile char buffer[64];
  buffer[0] = 1;
  calls = calls + 1;
  return (next_bit() ? left(depth + 1) : right(depth + 1)) + buffer[0];
}

static long left(long depth) {
  volatile char buffer[32];
  buffer[0] = 1;
  calls = calls + 1;
  return (next_bit() ? right(depth + 1) : left(depth + 2) * 2) + buffer[0];
}

FUNCTION long begin(void) {
  const long result = left(0);
  STAY();
  return result;
}

DIES_IN(begin)
