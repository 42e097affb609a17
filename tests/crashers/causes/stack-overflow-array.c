// A frame that is larger than the stack. The first argument says of what: "array" (64 MiB), "alloca"; with
// "thread" as second one in a thread other than the first.

#include <alloca.h>
#include <pthread.h>

#include "cause.h"

FUNCTION long fill_array(void) {
  char table[64 << 20];
  table[0] = (char)HIDE(1);
  STAY();
  return *HIDE(&table[0]);
}

FUNCTION long fill_allocated(void) {
  char* table = (char*)alloca(HIDE(48UL << 20));
  *HIDE(table) = 1;
  return *HIDE(table);
}

static void* run(void* unused) {
  (void)unused;
  const long result = strcmp(arguments[0], "array") == 0 ? fill_array() : fill_allocated();
  STAY();
  return (void*)result;
}

FUNCTION long fill(void) {
  pthread_t thread;
  if (arguments[1] == NULL) return run(NULL) != NULL;
  pthread_create(&thread, NULL, run, NULL);
  pthread_join(thread, NULL);
  return 0;
}

DIES_IN(fill)
