#include "cause.h"

FUNCTION long look_up(void) {
  const long* entry = HIDE((long*)0x4141414141414141);
  return *entry;  // dies here
}

DIES_IN(look_up)
