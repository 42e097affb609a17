// Stacks that grow too far, and what only looks so.
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>

#include "death.h"

#pragma GCC diagnostic ignored "-Winfinite-recursion"
#pragma GCC diagnostic ignored "-Warray-bounds"

static volatile int depth;
#define CALL __attribute__((noinline, noclone)) static long

CALL recurse(long n) {
  ++depth;
  return recurse(n + 1) + n;
}
DEATH plain(void) { printf("%ld", recurse(0)); }

CALL odd(long n);
CALL even(long n) { return odd(n + 1) + 1; }
CALL odd(long n) { return even(n + 1) + 2; }
DEATH mutual(void) { printf("%ld", even(0)); }

/// No cycle: which of the two comes next looks like chance.
CALL left(unsigned long n);
CALL right(unsigned long n) {
  n = n * 6364136223846793005UL + 1442695040888963407UL;
  return ((n >> 40 & 1) != 0 ? left(n) : right(n)) + 1;
}
CALL left(unsigned long n) {
  n = n * 6364136223846793005UL + 1442695040888963407UL;
  return ((n >> 40 & 1) != 0 ? left(n) : right(n)) + 2;
}
DEATH irregular(void) { printf("%ld", left(42)); }

CALL large_frame(long n) {
  volatile char room[300000];
  room[0] = room[sizeof room - 1] = (char)n;
  return large_frame(n + 1) + room[0];
}
DEATH large_frames(void) { printf("%ld", large_frame(0)); }
DEATH huge_local(void) {
  volatile char room[64 << 20];
  room[0] = 1;
  printf("%d", room[0]);
}
DEATH huge_alloca(void) {
  volatile char* room = alloca(HIDE(100UL << 20));
  room[0] = 1;
  printf("%d", room[0]);
}
CALL use_alloca(long n) {
  volatile char* room = alloca(HIDE(1000UL));
  room[0] = (char)n;
  return use_alloca(n + 1) + room[0];
}
DEATH alloca_calls(void) { printf("%ld", use_alloca(0)); }
DEATH variable_array(void) {
  const size_t count = HIDE(50UL << 20);
  volatile char room[count];
  memset((char*)room, 1, count);
  printf("%d", room[1]);
}

static void* in_thread(void* die) {
  ((void (*)(void))die)();
  return NULL;
}
static void run(void (*die)(void), size_t stack) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  must(pthread_attr_setstacksize(&attributes, stack) == 0, "pthread_attr_setstacksize");
  pthread_t thread;
  must(pthread_create(&thread, &attributes, in_thread, (void*)die) == 0, "pthread_create");
  pthread_join(thread, NULL);
}
DEATH thread(void) { run(plain, 1 << 20); }
DEATH tiny_thread(void) { run(plain, 64 << 10); }
DEATH thread_local_array(void) { run(huge_local, 1 << 20); }

static char alternate[64 << 10];
static void use_alternate(void) {
  const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  must(sigaltstack(&stack, NULL) == 0, "sigaltstack");
}
static void handle(void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigaction(SIGSEGV, &action, NULL);
}
static void give_up(int number) {
  (void)number;
  abort();
}
static void raise_again(int number) {
  signal(number, SIG_DFL);
  raise(number);
}
DEATH handler_without_stack(void) {
  handle(give_up, 0);
  plain();
}
DEATH handler_aborts(void) {
  use_alternate();
  handle(give_up, SA_ONSTACK);
  plain();
}
DEATH handler_raises(void) {
  use_alternate();
  handle(raise_again, SA_ONSTACK);
  plain();
}
static void overflow_in_handler(int number) { printf("%ld", recurse(number)); }
DEATH in_handler(void) {
  use_alternate();
  handle(overflow_in_handler, SA_ONSTACK);
  *(volatile int*)HIDE((int*)NULL) = 1;
}
static int compare(const void* a, const void* b) {
  (void)b;
  qsort((void*)a, 1, 1, compare);
  char two[2] = {2, 1};
  qsort(two, 2, 1, compare);
  return 0;
}
DEATH through_library(void) {
  char two[2] = {2, 1};
  qsort(two, 2, 1, compare);
}

// These are none.

static void* wait_for_ever(void* address) {
  *(char* volatile*)address = __builtin_frame_address(0);
  for (;;) pause();
  return NULL;
}
/// A wild pointer hits the guard of another thread's stack.
DEATH guard_of_another(void) {
  static char* volatile its_frame;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 1 << 20);
  pthread_t other;
  must(pthread_create(&other, &attributes, wait_for_ever, (void*)&its_frame) == 0, "pthread_create");
  while (!its_frame) usleep(1000);
  pthread_attr_t its;
  pthread_getattr_np(other, &its);
  void* bottom;
  size_t size;
  pthread_attr_getstack(&its, &bottom, &size);
  ((volatile char*)bottom)[-100] = 1;
}
/// A pointer to no memory, far below a stack that is all but empty.
DEATH below_the_stack(void) {
  char here;
  *(volatile char*)HIDE(&here - (900 << 20)) = 1;
}

static const struct way ways[] = {
    {"plain", plain},
    {"mutual", mutual},
    {"irregular", irregular},
    {"large-frames", large_frames},
    {"huge-local", huge_local},
    {"huge-alloca", huge_alloca},
    {"alloca-calls", alloca_calls},
    {"variable-array", variable_array},
    {"thread", thread},
    {"tiny-thread", tiny_thread},
    {"thread-local-array", thread_local_array},
    {"handler-without-stack", handler_without_stack},
    {"handler-aborts", handler_aborts},
    {"handler-raises", handler_raises},
    {"in-handler", in_handler},
    {"through-library", through_library},
    {"guard-of-another", guard_of_another},
    {"below-the-stack", below_the_stack},
};
DIES_BY(ways)
