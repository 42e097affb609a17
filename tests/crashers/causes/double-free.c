#include "cause.h"

FUNCTION long release_twice(void) {
  void* block = malloc(40);
  void* again = HIDE(block);
  free(block);
  free(again);  // dies here
  return 0;
}

DIES_IN(release_twice)
