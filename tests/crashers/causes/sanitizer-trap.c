// Checks of the sanitizer that are compiled to kill: "add", "shift", "index".

#include "cause.h"

__attribute__((noinline)) static long compute(void) {
  const char* how = arguments[0];
  int many = HIDE(INT32_MAX), values[4] = {1, 2, 3, 4};
  if (strcmp(how, "add") == 0) return many + HIDE(1);
  if (strcmp(how, "shift") == 0) return 1 << HIDE(40);
  return values[HIDE(7)];
}

int main(int argc, char** argv) {
  (void)argc;
  arguments = argv + 1;
  return (int)compute();
}
