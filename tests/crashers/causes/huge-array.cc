#include "cause.h"

FUNCTION long make_table() {
  const char* table = new char[HIDE(SIZE_MAX / 4)];  // dies here
  return *HIDE(table);
}

DIES_IN(make_table)
