// SIGABRT comes, and nobody has called abort(). The argument says from where: "timer", "thread", "kill" (of
// the process by itself).

#include <pthread.h>
#include <time.h>

#include "cause.h"

static pthread_t first;

static void* send(void* unused) {
  (void)unused;
  pthread_kill(first, SIGABRT);
  for (;;) pause();
  return NULL;
}

FUNCTION void start_timer(void) {
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGABRT};
  const struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) Fail("timer_create");
  timer_settime(timer, 0, &soon, NULL);
}

FUNCTION long idle(void) {
  pthread_t thread;
  first = pthread_self();
  if (strcmp(arguments[0], "timer") == 0) start_timer();
  if (strcmp(arguments[0], "thread") == 0) pthread_create(&thread, NULL, send, NULL);
  if (strcmp(arguments[0], "kill") == 0) kill(getpid(), SIGABRT);
  for (;;) pause();
  return 0;
}

DIES_IN(idle)
