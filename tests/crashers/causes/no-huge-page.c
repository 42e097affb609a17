// Writes to memory of huge pages, of which the system has none: nothing was reserved.

#include "cause.h"

FUNCTION long fill(void) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE;
  char* table = (char*)mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (table == MAP_FAILED) Fail("mmap");
  *HIDE(table) = 1;  // dies here
  return 0;
}

DIES_IN(fill)
