#include "cause.h"

static const char greeting[] = "hello";

FUNCTION long edit(void) {
  char* letter = HIDE((char*)greeting);
  *letter = 'H';  // dies here
  return 0;
}

DIES_IN(edit)
