#include "cause.h"

FUNCTION long give_up(void) {
  abort();  // dies here
}

DIES_IN(give_up)
