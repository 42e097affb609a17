// Loads the library that the first argument names, stops itself (the test replaces the file), and dies in the
// library.

#include <dlfcn.h>

#include "cause.h"

FUNCTION long use_plugin(void) {
  void* library = dlopen(arguments[0], RTLD_NOW);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  long (*plugin_start)(long*) = (long (*)(long*))dlsym(library, "plugin_start");
  if (plugin_start == NULL) exit(2);
  raise(SIGSTOP);
  const long result = plugin_start(NULL);
  STAY();
  return result;
}

DIES_IN(use_plugin)
