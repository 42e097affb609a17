// The mapping has a name: that of the program.

#include <fcntl.h>

#include "cause.h"

static const char* MapProgram(void) {
  const int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (program < 0) Fail("open /proc/self/exe");
  void* page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, program, 0);
  if (page == MAP_FAILED) Fail("mmap");
  return (const char*)page;
}

FUNCTION long look_up(void) {
  const char* page = HIDE(MapProgram());
  return *page;  // dies here
}

DIES_IN(look_up)
