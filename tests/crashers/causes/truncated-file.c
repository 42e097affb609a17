// Maps the file that the first argument names, which it writes itself, and then shortens it.

#include <fcntl.h>

#include "cause.h"

static const char* MapAndTruncate(void) {
  static const char content[2 * 4096] = "content";
  const int file = open(arguments[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) Fail(arguments[0]);
  if (write(file, content, sizeof content) != sizeof content) Fail("write");
  void* mapped = mmap(NULL, sizeof content, PROT_READ, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) Fail("mmap");
  if (ftruncate(file, 4096) != 0) Fail("ftruncate");
  return (const char*)mapped;
}

FUNCTION long read_record(void) {
  const char* record = HIDE(MapAndTruncate() + 4096 + 8);
  return *record;  // dies here
}

DIES_IN(read_record)
