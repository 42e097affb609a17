// Overwrites its own return address and all that lies above it. The first argument says where it then returns
// to: an address that cannot exist, or one where there is no memory.

#include "cause.h"

FUNCTION void fill(uintptr_t* from, uintptr_t value) {
  for (int i = 0; i < 64; ++i) from[i] = value;
}

FUNCTION long smash(void) {
  const uintptr_t unmapped = (uintptr_t)UnmappedPage();
  const uintptr_t value = strcmp(arguments[0], "wild") == 0 ? 0x4444444444444444 : unmapped;
  uintptr_t local[2] = {0, 0};
  fill(HIDE(&local[0]), value);
  STAY();
  return 0;
}  // dies here

DIES_IN(smash)
