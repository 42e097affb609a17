#include "cause.h"

FUNCTION long look_up(void) {
  const char* page = HIDE(MapPage(PROT_NONE));
  return *page;  // dies here
}

DIES_IN(look_up)
