// Faults that a sanitizer finds: the argument says which.

#include "cause.h"

FUNCTION long heap_overflow(void) {
  int* prices = HIDE((int*)malloc(40));
  return prices[HIDE(10)];
}

FUNCTION long use_after_free(void) {
  char* name = HIDE((char*)malloc(10));
  free(name);
  name[HIDE(3)] = 1;
  return name[3];
}

FUNCTION long double_free(void) {
  char* name = HIDE((char*)malloc(10));
  free(name);
  free(HIDE(name));
  return 0;
}

FUNCTION long add(void) { return HIDE(0x7fffffff) + HIDE(2); }

FUNCTION long look_up(void) {
  static const int kPrices[4] = {1, 2, 3, 4};
  return kPrices[HIDE(6)];
}

FUNCTION long shift(void) { return 1 << HIDE(40); }

FUNCTION long choose(void) {
  long (*const functions[])(void) = {heap_overflow, use_after_free, double_free, add, look_up, shift};
  const long result = functions[arguments[0][0] - '0']();
  STAY();
  return result;
}

DIES_IN(choose)
