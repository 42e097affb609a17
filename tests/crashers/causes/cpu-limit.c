#include "cause.h"

FUNCTION long compute(void) {
  const struct rlimit limit = {1, 10};
  if (setrlimit(RLIMIT_CPU, &limit) != 0) Fail("setrlimit");
  for (volatile long i = 0;; i = i + 1) continue;  // dies here
  return 0;
}

DIES_IN(compute)
