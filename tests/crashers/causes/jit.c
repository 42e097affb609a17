// Calls into code that it wrote at run time. The code keeps a frame pointer, as most compilers of that kind
// do.

#include "cause.h"

static long (*Generate(void))(void) {
  static const unsigned char code[] = {0x55,                    // push %rbp
                                       0x48, 0x89, 0xe5,        // mov %rsp, %rbp
                                       0x31, 0xc0,              // xor %eax, %eax
                                       0x48, 0x8b, 0x40, 0x20,  // mov 0x20(%rax), %rax
                                       0x5d, 0xc3};             // pop %rbp; ret
  char* page = MapPage(PROT_READ | PROT_WRITE | PROT_EXEC);
  memcpy(page, code, sizeof code);
  return (long (*)(void))(void*)page;
}

FUNCTION long run_generated(void) {
  const long result = HIDE(Generate())();  // dies here
  STAY();
  return result;
}

DIES_IN(run_generated)
