#include "cause.h"

FUNCTION long look_up(void) {
  const char* freed = HIDE(UnmappedPage());
  return *freed;  // dies here
}

DIES_IN(look_up)
