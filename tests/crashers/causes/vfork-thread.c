// A thread is in vfork(2) when the process dies.

#include <pthread.h>

#include "cause.h"

FUNCTION void* start_helper(void* unused) {
  if (vfork() == 0) {
    kill(getppid(), SIGSEGV);
    _exit(0);
  }
  STAY();
  return unused;
}

FUNCTION long wait_for_helper(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, start_helper, NULL) != 0) Fail("pthread_create");
  pthread_join(thread, NULL);  // dies here
  STAY();
  return 0;
}

DIES_IN(wait_for_helper)
