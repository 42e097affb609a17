// The library of replaced-library.c.

#include "cause.h"

FUNCTION long plugin_step(long* state) {
  return *state + 1;  // dies here
}

long plugin_start(long* state) {
  (void)arguments;
  (void)serve;
  const long result = plugin_step(state);
  STAY();
  return result;
}
