// A quotient that does not fit. The argument says of which division: "int", "long", "byte", "wide" (128 by 64
// bits), "memory" (the divisor is there).

#include "cause.h"

static int divisor = -1;

FUNCTION long divide(void) {
  const char* how = arguments[0];
  unsigned long low = 1, high = 5;
  if (strcmp(how, "int") == 0) return HIDE(INT32_MIN) / HIDE(-1);
  if (strcmp(how, "long") == 0) return HIDE(INT64_MIN) / HIDE(-1L);
  if (strcmp(how, "byte") == 0)
    __asm__ volatile("movl $1000, %%eax; movb $3, %%ch; divb %%ch" ::: "rax", "rcx");
  if (strcmp(how, "wide") == 0) __asm__ volatile("divq %2" : "+a"(low), "+d"(high) : "r"(5UL));
  if (strcmp(how, "memory") == 0)
    __asm__ volatile("cltd; idivl %1" : "=a"(low) : "m"(divisor), "a"(INT32_MIN) : "rdx");
  return (long)(low + high);
}

DIES_IN(divide)
