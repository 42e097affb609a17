// Reads a library of its own by mmap(2), as profilers and sanitizers do: the kernel puts that right below the
// library's code. Dies in the library.

#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>

#include "cause.h"

static int map_libc(struct dl_phdr_info* info, size_t size, void* unused) {
  (void)size;
  (void)unused;
  if (strstr(info->dlpi_name, "libc.so") == NULL) return 0;
  const int file = open(info->dlpi_name, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) Fail("open libc");
  if (mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) Fail("mmap");
  return 1;
}

FUNCTION int compare(const void* one, const void* other) {
  const int result = (int)strlen(HIDE((const char*)NULL)) + (one < other);  // dies here
  STAY();
  return result;
}

FUNCTION long sort(void) {
  dl_iterate_phdr(map_libc, NULL);
  int numbers[] = {3, 2, 1};
  qsort(numbers, 3, sizeof *numbers, compare);
  STAY();
  return numbers[0];
}

DIES_IN(sort)
