#include "cause.h"

FUNCTION long call_back(void) {
  unsigned char code[64] = {0xc3};
  long (*callback)(void) = HIDE((long (*)(void))(void*)code);
  const long result = callback();  // dies here
  STAY();
  return result + code[1];
}

DIES_IN(call_back)
