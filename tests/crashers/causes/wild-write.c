#include "cause.h"

FUNCTION long insert(void) {
  long* entry = HIDE((long*)0x4242424242424242);
  *entry = 7;  // dies here
  return 0;
}

DIES_IN(insert)
