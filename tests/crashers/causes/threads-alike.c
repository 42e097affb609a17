// 97 threads wait in the same place while the first one dies.

#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "cause.h"

enum { kThreads = 97 };
static uint32_t gate, beyond;

FUNCTION void await_job(void) {
  syscall(SYS_futex, &gate, FUTEX_WAIT, 0, NULL, NULL, 0);  // waits here
  STAY();
}

static void* run_worker(void* unused) {
  for (;;) await_job();
  return unused;
}

/// Moving the sleepers of one futex to another counts them: nobody is counted who does not sleep yet.
static void AwaitSleepers(void) {
  for (long asleep = 0; asleep < kThreads; sched_yield()) {
    const long moved = syscall(SYS_futex, &gate, FUTEX_CMP_REQUEUE, 0, (void*)kThreads, &beyond, 0);
    if (moved < 0) Fail("futex");
    asleep += moved;
  }
}

FUNCTION long stop_all(void) {
  for (int i = 0; i < kThreads; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_worker, NULL) != 0) Fail("pthread_create");
  }
  AwaitSleepers();
  int* state = HIDE((int*)NULL);
  *state = 0;  // dies here
  return 0;
}

DIES_IN(stop_all)
