#include "cause.h"

FUNCTION long call_back(void) {
  long (*callback)(void) = HIDE((long (*)(void))(void*)UnmappedPage());
  const long result = callback();  // dies here
  STAY();
  return result;
}

DIES_IN(call_back)
