#include "cause.h"

static unsigned char code[64] = {0xc3};

FUNCTION long call_back(void) {
  long (*callback)(void) = HIDE((long (*)(void))(void*)code);
  const long result = callback();  // dies here
  STAY();
  return result;
}

DIES_IN(call_back)
