// 97 threads wait in the same place while the first one dies.

#define _GNU_SOURCE
#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "cause.h"

enum { kThreads = 97 };
static uint32_t gate;
static atomic_int begun;

FUNCTION void await_job(void) {
  atomic_fetch_add(&begun, 1);
  syscall(SYS_futex, &gate, FUTEX_WAIT, 0, NULL, NULL, 0);  // waits here
  STAY();
}

static void* run_worker(void* unused) {
  for (;;) await_job();
  return unused;
}

/// A thread that has begun sleeps nowhere but at the gate.
static int Sleeps(const char* thread) {
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", thread);
  FILE* file = fopen(path, "r");
  if (file == NULL || fgets(line, sizeof line, file) == NULL) Fail(path);
  fclose(file);
  return strncmp(strrchr(line, ')'), ") S", 3) == 0;
}

static void AwaitSleepers(void) {
  while (atomic_load(&begun) < kThreads) sched_yield();
  DIR* threads = opendir("/proc/self/task");
  if (threads == NULL) Fail("opendir");
  char self[16];
  snprintf(self, sizeof self, "%d", (int)getpid());
  for (struct dirent* thread = readdir(threads); thread != NULL; thread = readdir(threads)) {
    if (thread->d_name[0] == '.' || strcmp(thread->d_name, self) == 0) continue;
    while (!Sleeps(thread->d_name)) sched_yield();
  }
  closedir(threads);
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
