#include "cause.h"

FUNCTION long allocate_more(void) {
  char* block = HIDE((char*)malloc(24));
  memset(block, 0xff, HIDE(40));          // over the size of what comes behind
  void* more = HIDE(malloc(HIDE(4000)));  // dies here
  return more == NULL;
}

DIES_IN(allocate_more)
