#include "cause.h"

FUNCTION long insert(void) {
  char* freed = HIDE(UnmappedPage());
  *freed = 7;  // dies here
  return 0;
}

DIES_IN(insert)
