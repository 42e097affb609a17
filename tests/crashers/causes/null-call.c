#include "cause.h"

FUNCTION long call_back(void) {
  long (*callback)(void) = HIDE((long (*)(void))NULL);
  const long result = callback();  // dies here
  STAY();
  return result;
}

DIES_IN(call_back)
