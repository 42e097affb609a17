#include <assert.h>

#include "cause.h"

FUNCTION long check_count(void) {
  const int count = HIDE(-1);
  assert(count >= 0 && "a count");  // dies here
  return count;
}

DIES_IN(check_count)
