// A vector that is not where the processor wants it. The argument says in which access: "store", "load",
// "add".

#include "cause.h"

static char numbers[64] __attribute__((aligned(64)));

FUNCTION long use_vector(void) {
  char* at = HIDE(numbers + 4);
  const char* how = arguments[0];
  if (strcmp(how, "store") == 0) __asm__ volatile("movaps %%xmm0, (%0)" ::"r"(at) : "memory");
  if (strcmp(how, "load") == 0) __asm__ volatile("movdqa 16(%0), %%xmm0" ::"r"(at) : "memory");
  if (strcmp(how, "add") == 0) __asm__ volatile("paddd (%0), %%xmm0" ::"r"(at) : "memory");
  return *at;
}

DIES_IN(use_vector)
