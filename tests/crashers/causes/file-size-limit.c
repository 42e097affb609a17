// Writes more than it may into a file without a name.

#include "cause.h"

FUNCTION long write_log(void) {
  FILE* log = tmpfile();
  if (log == NULL) Fail("tmpfile");
  const struct rlimit limit = {4096, 4096};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) Fail("setrlimit");
  static const char text[4096] = "text";
  long written = write(fileno(log), text, sizeof text);
  written += write(fileno(log), text, sizeof text);  // dies here
  return written;
}

DIES_IN(write_log)
