// Sends itself the signal whose number is the first argument.

#include "cause.h"

FUNCTION long give_up(void) {
  const int result = raise(atoi(arguments[0]));  // dies here
  STAY();
  return result;
}

DIES_IN(give_up)
