// Fills memory of the kind that its first argument names, and dies of a null write. Exits with 77 if this
// kernel has no such memory. Every process has some MiB of plain memory beside.
//
// C, and nothing but the C library.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // Linux 6.13
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

enum { kPage = 4096, kMiB = 1 << 20 };
static const size_t kSize = 8 * (size_t)kMiB;

#define NOINLINE __attribute__((noinline))
NOINLINE void crash_here(void) {
  volatile int* volatile null = NULL;  // volatile twice: nothing may be reasoned away
  *null = 1;
}

static void Fail(const char* what) {
  perror(what);
  exit(2);
}
static void Lacks(const char* what) {
  printf("this kernel lacks it: %s: %s\n", what, strerror(errno));
  exit(77);
}

/// Content that tells every page from every other and from zeros.
static void Fill(char* memory, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 8) *(uint64_t*)(memory + i) = (uint64_t)(uintptr_t)(memory + i) | 1;
}
/// Every fourth page.
static void FillSome(char* memory, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 4 * (size_t)kPage) Fill(memory + i, kPage);
}

static char* Map(size_t bytes, int flags, int fd) {
  char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  return memory;
}
static char* MapPlain(void) { return Map(kSize, MAP_PRIVATE | MAP_ANONYMOUS, -1); }

/// A file without a name, full of text.
static int TextFile(size_t bytes) {
  const int file = open("/var/tmp", O_TMPFILE | O_RDWR, 0600);
  if (file < 0) Fail("open a temporary file");
  char page[kPage];
  for (size_t i = 0; i < bytes; i += kPage) {
    memset(page, 'a' + (int)(i / kPage % 26), sizeof page);
    if (write(file, page, kPage) != kPage) Fail("write");
  }
  return file;
}

static int MemoryFile(void) {
  const int file = (int)syscall(SYS_memfd_create, "mapper", 0);
  if (file < 0 || ftruncate(file, (off_t)kSize) != 0) Fail("memfd_create");
  return file;
}

static void SharedAnonymous(void) { FillSome(Map(kSize, MAP_SHARED | MAP_ANONYMOUS, -1), kSize); }
static void Memfd(void) { FillSome(Map(kSize, MAP_SHARED, MemoryFile()), kSize); }

/// In the file and not in the page tables: the pages exist without being present.
static void MemfdWritten(void) {
  const int file = MemoryFile();
  char page[kPage];
  for (off_t i = 0; i < (off_t)kSize; i += 2 * kPage) {
    memset(page, 'm', sizeof page);
    if (pwrite(file, page, sizeof page, i) != kPage) Fail("pwrite");
  }
  Map(kSize, MAP_SHARED, file);
}

static void PrivateMemfd(void) { FillSome(Map(kSize, MAP_PRIVATE, MemoryFile()), kSize / 2); }

static void SysV(void) {
  const int id = shmget(IPC_PRIVATE, kSize, 0600);
  if (id < 0) Fail("shmget");
  char* memory = shmat(id, NULL, 0);
  shmctl(id, IPC_RMID, NULL);
  if (memory == (void*)-1) Fail("shmat");
  FillSome(memory, kSize);
}

static void PrivateFile(void) {
  char* memory = Map(kSize, MAP_PRIVATE, TextFile(kSize));
  for (size_t i = 0; i < kSize; i += 64 * (size_t)kPage) memory[i] = 'X';
}

static void BeyondEndOfFile(void) {
  const int file = TextFile(kSize / 2);
  char* memory = Map(kSize, MAP_PRIVATE, file);
  memory[0] = 'X';
  if (ftruncate(file, (off_t)kSize / 4) != 0) Fail("ftruncate");
}

static void ProtNone(void) {
  char* memory = MapPlain();
  Fill(memory, kSize);
  if (mprotect(memory, kSize, PROT_NONE) != 0) Fail("mprotect");
}

/// Where a minimal core looks for pointers.
__thread char* volatile excluded;

static void DontDump(void) {
  char* memory = MapPlain();
  Fill(memory, kSize);
  if (madvise(memory + kSize / 4, kSize / 2, MADV_DONTDUMP) != 0) Fail("madvise");
  excluded = memory + kSize / 2;
}

static void LazyFree(void) {
  char* memory = MapPlain();
  Fill(memory, kSize);
  if (madvise(memory, kSize / 2, MADV_FREE) != 0) Lacks("MADV_FREE");
}

static void Guard(void) {
  char* memory = MapPlain();
  Fill(memory, kSize);
  if (madvise(memory + kSize / 4, kSize / 4, MADV_GUARD_INSTALL) != 0) Lacks("MADV_GUARD_INSTALL");
}

static void Secret(void) {
  const int file = (int)syscall(SYS_memfd_secret, 0);
  if (file < 0 || ftruncate(file, kMiB) != 0) Lacks("memfd_secret");
  Fill(Map(kMiB, MAP_SHARED, file), kMiB);
}

static void Userfault(char* memory) {
  const int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  struct uffdio_api api = {.api = UFFD_API};
  if (faults < 0 || ioctl(faults, UFFDIO_API, &api) != 0) Lacks("userfaultfd");
  struct uffdio_register range = {.range = {(uintptr_t)memory, kSize}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  if (ioctl(faults, UFFDIO_REGISTER, &range) != 0) Lacks("UFFDIO_REGISTER");
}

static void UserfaultAnonymous(void) {
  char* memory = MapPlain();
  Fill(memory, kSize / 4);
  Userfault(memory);
}

static void UserfaultShared(void) {
  char* memory = Map(kSize, MAP_SHARED | MAP_ANONYMOUS, -1);
  Fill(memory, kSize / 4);
  Userfault(memory);
}

static void HugePages(void) {
  char* memory = MapPlain();
  if (madvise(memory, kSize, MADV_HUGEPAGE) != 0) Lacks("MADV_HUGEPAGE");
  Fill(memory, kSize / 2);
}

static void Hugetlb(void) {
  char* memory = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (memory == MAP_FAILED) Lacks("MAP_HUGETLB");
  Fill(memory, kSize / 2);
}

/// Waits until `done`, a minute at most.
static void Await(int (*done)(char*), char* memory, const char* what) {
  const struct timespec nap = {0, 10 * 1000 * 1000};
  for (int i = 0; i < 6000; ++i) {
    if (done(memory)) return;
    nanosleep(&nap, NULL);
  }
  errno = ETIME;
  Lacks(what);
}

static int IsMerged(char* memory) {
  (void)memory;
  FILE* file = fopen("/proc/self/ksm_merging_pages", "r");
  long pages = 0;
  if (file == NULL || fscanf(file, "%ld", &pages) != 1) Lacks("/proc/self/ksm_merging_pages");
  fclose(file);
  return pages > 0;
}

static void Merged(void) {
  char* memory = MapPlain();
  memset(memory, 'k', kSize);
  if (madvise(memory, kSize, MADV_MERGEABLE) != 0) Lacks("MADV_MERGEABLE");
  Await(IsMerged, memory, "KSM");
}

static int IsSwapped(char* memory) {
  if (madvise(memory, kSize, MADV_PAGEOUT) != 0) Lacks("MADV_PAGEOUT");
  const int file = open("/proc/self/pagemap", O_RDONLY);
  uint64_t entry = 0;
  if (file < 0 ||
      pread(file, &entry, sizeof entry, (off_t)((uintptr_t)memory / kPage * sizeof entry)) != sizeof entry)
    Fail("pagemap");
  close(file);
  return (entry >> 62 & 1) != 0;
}

static void Swapped(void) {
  char* memory = MapPlain();
  Fill(memory, kSize);
  Await(IsSwapped, memory, "swap");
}

NOINLINE static void GrowStack(long depth) {
  volatile char frame[64 * 1024];
  memset((char*)frame, 's', sizeof frame);
  if (depth > 0) GrowStack(depth - 1);
  if (frame[depth % 64] == 's') crash_here();
}
static void GrownStack(void) { GrowStack(80); }

static void Sparse(void) {
  const size_t bytes = 4ULL << 30;
  char* memory = Map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  for (size_t i = 0; i < bytes; i += bytes / 32) memory[i] = 1;
}

/// More than an ELF header can count; and so much address space that it is worth to be read directly.
static void ManyMappings(void) {
  Sparse();
  for (int i = 0; i < 66000; ++i) {
    char* page = mmap(NULL, kPage, i % 2 != 0 ? PROT_READ | PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) Lacks("vm.max_map_count above 66,000");
    if (i % 16 == 0) page[0] = 1;
  }
}

static const struct {
  const char* name;
  void (*make)(void);
} kKinds[] = {{"shared-anonymous", SharedAnonymous},
              {"memfd", Memfd},
              {"memfd-written", MemfdWritten},
              {"private-memfd", PrivateMemfd},
              {"sysv", SysV},
              {"private-file", PrivateFile},
              {"beyond-end-of-file", BeyondEndOfFile},
              {"prot-none", ProtNone},
              {"dont-dump", DontDump},
              {"lazy-free", LazyFree},
              {"guard", Guard},
              {"secret", Secret},
              {"userfault", UserfaultAnonymous},
              {"userfault-shared", UserfaultShared},
              {"huge-pages", HugePages},
              {"hugetlb", Hugetlb},
              {"merged", Merged},
              {"swapped", Swapped},
              {"grown-stack", GrownStack},
              {"many-mappings", ManyMappings},
              {"sparse", Sparse}};

int main(int argc, char** argv) {
  const char* kind = argc > 1 ? argv[1] : "";
  Fill(MapPlain(), kSize);
  for (size_t i = 0; i < sizeof kKinds / sizeof kKinds[0]; ++i) {
    if (strcmp(kKinds[i].name, kind) != 0) continue;
    kKinds[i].make();
    crash_here();
  }
  fprintf(stderr, "mapper: no such kind of memory: \"%s\"\n", kind);
  return 2;
}
