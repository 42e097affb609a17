// Writes to memory of a file for which there is no more room. The argument names the file, on a small tmpfs.

#include <fcntl.h>

#include "cause.h"

FUNCTION long write_record(void) {
  const long size = 4 << 20;
  const int file = open(arguments[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, size) != 0) Fail(arguments[0]);
  char* mapped = (char*)mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) Fail("mmap");
  for (long at = 0; at < size; at += 4096) {
    mapped[at] = 1;  // dies here
  }
  return 0;
}

DIES_IN(write_record)
