// A wild pointer that leads to the guard of a thread's stack, which is not full.

#include <pthread.h>

#include "cause.h"

static char* stack;

FUNCTION long look_up(void) {
  const char* entry = HIDE(stack + 0x800);
  return *entry;  // dies here
}

static void* run(void* unused) {
  (void)unused;
  const long result = look_up();
  STAY();
  return (void*)result;
}

FUNCTION long begin(void) {
  const size_t size = 1 << 20;
  stack = (char*)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, 4096, PROT_NONE) != 0) Fail("stack");
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack + 4096, size - 4096);
  pthread_create(&thread, &attributes, run, NULL);
  pthread_join(thread, NULL);
  return 0;
}

DIES_IN(begin)
