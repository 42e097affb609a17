// Loads a copy of the library that the first argument names, which lies in no file system, and dies in it.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/sendfile.h>

#include "cause.h"

FUNCTION long use_plugin(void) {
  const int file = open(arguments[0], O_RDONLY | O_CLOEXEC), memory = memfd_create("plugin", MFD_CLOEXEC);
  if (file < 0 || memory < 0) Fail("memfd_create");
  while (sendfile(memory, file, NULL, 1 << 20) > 0) {
  }
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", memory);
  void* library = dlopen(name, RTLD_NOW);
  long (*plugin_start)(long*) = library == NULL ? NULL : (long (*)(long*))dlsym(library, "plugin_start");
  if (plugin_start == NULL) Fail(dlerror());
  const long result = plugin_start(NULL);
  STAY();
  return result;
}

DIES_IN(use_plugin)
