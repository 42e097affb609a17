// Built with -D_FORTIFY_SOURCE=2.

#include "cause.h"

FUNCTION long copy_name(void) {
  char name[16];
  const char* given = HIDE((const char*)"a name that is longer than sixteen bytes");
  strcpy(name, given);  // dies here
  return *HIDE(&name[3]);
}

DIES_IN(copy_name)
