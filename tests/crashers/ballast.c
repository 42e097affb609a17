// For LD_PRELOAD: memory that makes a process large enough to go before it is read (docs/early-release.md).
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { kBytes = 48 << 20 };

__attribute__((constructor)) static void take_memory(void) {
  uint64_t* words = mmap(NULL, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (words == MAP_FAILED) return;
  for (size_t i = 0; i < kBytes / sizeof *words; i += 8) words[i] = i * 0x9e3779b97f4a7c15;
}
