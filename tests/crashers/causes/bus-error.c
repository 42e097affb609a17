// A misaligned read, with the flag of the processor that forbids it.

#include "cause.h"

static long numbers[2];

FUNCTION long read_misaligned(void) {
  const long* number = HIDE((long*)((char*)numbers + 1));
  __asm__ volatile("pushf; orl $0x40000, (%%rsp); popf" ::: "memory", "cc");
  return *number;  // dies here
}

DIES_IN(read_misaligned)
