// A floating-point exception that the program asked for. The argument says which: "zero", "invalid", "large".

#define _GNU_SOURCE
#include <fenv.h>

#include "cause.h"

FUNCTION long compute(void) {
  feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW);
  const char* how = arguments[0];
  double one = strcmp(how, "invalid") == 0 ? 0.0 : 1e300;
  double two = strcmp(how, "large") == 0 ? 1e-300 : 0.0;
  return (long)(HIDE(one) / HIDE(two));  // dies here
}

DIES_IN(compute)
