#include "cause.h"

FUNCTION long order() {
  throw 42;  // dies here
}

DIES_IN(order)
