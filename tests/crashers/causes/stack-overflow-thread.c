// In a thread: it runs into the guard page below its stack.

#include <pthread.h>

#include "cause.h"

volatile long calls;

FUNCTION long recurse(long depth) {
  char buffer[64];
  calls = calls + 1;
  if (HIDE(0)) return 0;
  memset(HIDE(&buffer[0]), (int)depth, sizeof buffer);
  return recurse(depth + 1) + buffer[0];
}

static void* run_thread(void* unused) {
  (void)unused;
  void* const result = (void*)recurse(0);
  STAY();
  return result;
}

FUNCTION long wait_for_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_thread, NULL) != 0) Fail("pthread_create");
  return pthread_join(thread, NULL);
}

DIES_IN(wait_for_thread)
