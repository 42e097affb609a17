#include "cause.h"

FUNCTION long release_middle(void) {
  char* block = HIDE((char*)malloc(64));
  free(HIDE(block + 8));  // dies here
  return 0;
}

DIES_IN(release_middle)
