// Executes a copy of itself that lies in no file system, and dies there.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/sendfile.h>

#include "cause.h"

extern char** environ;

FUNCTION long look_up(void) {
  if (getenv("OBIT_TEST_IN_MEMFD") != NULL) return *HIDE((const long*)NULL);  // dies here
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
            memory = memfd_create("payload", MFD_CLOEXEC);
  if (file < 0 || memory < 0) Fail("memfd_create");
  while (sendfile(memory, file, NULL, 1 << 20) > 0) {
  }
  if (setenv("OBIT_TEST_IN_MEMFD", "1", 1) != 0) Fail("setenv");
  char* argv[] = {"payload", NULL};
  fexecve(memory, argv, environ);
  Fail("fexecve");
  return 0;
}

DIES_IN(look_up)
