#include "cause.h"

FUNCTION long call_back(void) {
  long (*callback)(void) = HIDE((long (*)(void))0x4343434343434343);
  const long result = callback();  // dies here
  STAY();
  return result;
}

DIES_IN(call_back)
