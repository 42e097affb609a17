// The stack pointer is wild. The first argument says what uses it: "push", "pop", "call", "ret"; the second
// whether there could be such an address: "none", "unmapped".

#include "cause.h"

FUNCTION long use_stack(void) {
  const char* how = arguments[0];
  const uintptr_t to =
      strcmp(arguments[1], "none") == 0 ? 0x4141414141414140 : ((uintptr_t)UnmappedPage() & ~0xfUL);
  if (strcmp(how, "push") == 0) __asm__ volatile("movq %0, %%rsp; push %%rax" ::"r"(to) : "memory");
  if (strcmp(how, "pop") == 0) __asm__ volatile("movq %0, %%rsp; pop %%rax" ::"r"(to) : "memory");
  if (strcmp(how, "call") == 0) __asm__ volatile("movq %0, %%rsp; call getpid@plt" ::"r"(to) : "memory");
  if (strcmp(how, "ret") == 0) __asm__ volatile("movq %0, %%rsp; ret" ::"r"(to) : "memory");
  return 0;
}

DIES_IN(use_stack)
