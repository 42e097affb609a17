// Built with -fstack-protector-all.

#include "cause.h"

FUNCTION long copy_name(void) {
  char name[16];
  memset(HIDE(&name[0]), 'A', HIDE(32));
  return name[3];
}  // dies here

DIES_IN(copy_name)
