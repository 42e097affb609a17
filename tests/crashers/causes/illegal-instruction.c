#include "cause.h"

FUNCTION long decode(void) {
  __asm__ volatile("nop; .byte 0x06, 0x5a, 0xa5");  // dies here: 06 is no instruction in 64-bit mode
  return 0;
}

DIES_IN(decode)
