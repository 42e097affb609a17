// Dies in the way its first argument names; further arguments beyond those a way takes are ignored. If the
// last one is "stop" it stops itself first, with everything prepared: a benchmark starts its clock when it
// lets it go on.
//
//   segv                   a null write in crash_here
//   named NAME             the same under another name
//   abort                  abort(3) in crash_here_abort
//   threads N              N threads; one that is not the leader writes to null, the others wait, called
//                          "waiter 1" and so on
//   threads N MIB          the same with MIB of random memory
//   leave                  the first thread exits, and another one, "late", which has 8 MiB, dies of segv
//   leave delete-exe       the same without a program file
//   vfork                  a child of vfork(2) dies of segv; exits with 0 if it dumped core, without harm
//   mappings N             N mappings, every second one of the program file, then segv
//   memory MIB KIND        MIB of memory holding KIND (random, mixed, pointers, sparse, huge), then segv
//   hole GIB MIB           a mapping of GIB with 16 pages in it, and MIB of mixed memory, then segv
//   reserve GIB PAGES      a mapping of GIB, PAGES pages of it used: the first ones, or with "ends" behind
//                          it one at either end and one in the middle; then segv
//   file FILE              maps all of FILE and writes one page in 4096, then segv
//   untouched FILE         maps all of FILE and does not look at it, then segv
//   shared MIB             MIB of shared mixed memory, then segv
//   delete-exe             removes its own program file, then segv
//   namespaces             a child in new namespaces dies of segv; exits with 0 if it dumped core
//   storm N                N children die of segv at the same moment; prints "reaped N dumped M"
//   loop N WIDTH           N children die of segv, at most WIDTH at a time, the next one forked when one is
//                          reaped; prints the same
//   loop N WIDTH abort     the same, of abort(3), by turns in crash_here_first and in crash_here_second
//
// Built also statically and for i386: C, and nothing but the C library.

#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static void Fail(const char* what) {
  perror(what);
  exit(2);
}

static int stop_first;
static void StopIfTold(void) {
  if (stop_first) raise(SIGSTOP);
}

NOINLINE void crash_here(void) {
  StopIfTold();
  volatile int* volatile null = NULL;  // volatile twice: nothing may be reasoned away
  *null = 1;
}

NOINLINE void crash_here_abort(void) { abort(); }

/// What more than one place gives up by. The compiler must not think that these are one.
NOINLINE void GiveUp(void) { abort(); }
NOINLINE void crash_here_first(void) {
  __asm__ volatile("# first");
  GiveUp();
}
NOINLINE void crash_here_second(void) {
  __asm__ volatile("# second");
  GiveUp();
}

static pthread_barrier_t all_started;

static void* WaitForever(void* unused) {
  (void)unused;
  pthread_barrier_wait(&all_started);
  while (pause() != 0) continue;
  return NULL;
}

NOINLINE static void* crash_in_thread(void* unused) {
  (void)unused;
  pthread_barrier_wait(&all_started);
  crash_here();
  return NULL;
}

static void* WaitNamed(void* number) {
  char name[16];
  snprintf(name, sizeof name, "waiter %ld", (long)(intptr_t)number);
  prctl(PR_SET_NAME, name, 0, 0, 0);
  return WaitForever(NULL);
}

static void CrashAmongThreads(long count) {
  if (pthread_barrier_init(&all_started, NULL, (unsigned)count) != 0) Fail("pthread_barrier_init");
  for (long i = 1; i < count; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, i == count / 2 ? crash_in_thread : WaitNamed, (void*)(intptr_t)i) != 0)
      Fail("pthread_create");
  }
  WaitForever(NULL);
}

static void* CrashLate(void* unused) {
  (void)unused;
  prctl(PR_SET_NAME, "late");
  char line[1024] = "";
  while (strstr(line, ") Z ") == NULL) {  // until the first thread is a zombie
    const int stat = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    const ssize_t length = read(stat, line, sizeof line - 1);
    if (length < 0) Fail("read /proc/self/stat");
    line[length] = '\0';
    close(stat);
  }
  crash_here();
  return NULL;
}

static void LeaveFirstThread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, CrashLate, NULL) != 0) Fail("pthread_create");
  pthread_exit(NULL);
}

/// Its memory is its parent's, which stands still until it has died.
static int CrashInVfork(void) {
  volatile char* memory = malloc(16 << 20);
  if (memory == NULL) Fail("malloc");
  for (size_t i = 0; i < 16 << 20; ++i) memory[i] = (char)i;
  const pid_t child = vfork();
  if (child < 0) Fail("vfork");
  if (child == 0) {
    memory[0] = 77;
    crash_here();
    _exit(2);
  }
  int status;
  if (waitpid(child, &status, 0) != child) Fail("waitpid");
  if (memory[0] != 77) return 3;
  for (size_t i = 1; i < 16 << 20; ++i)
    if (memory[i] != (char)i) return 4;
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && WCOREDUMP(status) ? 0 : 1;
}

/// Neighbours that cannot merge into one mapping: pages of the same file offset, and memory between them.
static void MakeMappings(long count) {
  const int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (exe < 0) Fail("open /proc/self/exe");
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char* area = mmap(NULL, page * (size_t)count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) Fail("mmap");
  for (long i = 0; i < count; ++i) {
    char* at = area + page * (size_t)i;
    void* made = i % 2 == 0
                     ? mmap(at, page, PROT_READ, MAP_PRIVATE | MAP_FIXED, exe, 0)
                     : mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (made == MAP_FAILED) Fail("mmap");
    if (i % 2 != 0) *at = (char)i;
  }
}

static uint64_t* Map(size_t bytes, int flags, int file) {
  void* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  return memory;
}

/// "random" does not compress; "mixed" is pointers among small numbers, as in a heap; "pointers" is nothing
/// but pointers; "sparse" is mixed in one page of 64, "huge" in huge pages.
static void Fill(uint64_t* memory, size_t bytes, const char* kind) {
  const size_t words = bytes / sizeof(uint64_t);
  const size_t step = strcmp(kind, "sparse") == 0 ? 64 * 4096 / sizeof(uint64_t) : 1;
  const int random = strcmp(kind, "random") == 0, every = strcmp(kind, "pointers") == 0 ? 1 : 7;
  uint64_t state = 88172645463325252u;  // xorshift64
  for (size_t i = 0; i < words; i += step) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    memory[i] = random ? state : i % every == 0 ? (uint64_t)(uintptr_t)&memory[state % words] : i & 0xff;
  }
}

static void FillMemory(long mib, const char* kind) {
  const size_t bytes = (size_t)mib << 20;
  uint64_t* memory = Map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  if (strcmp(kind, "sparse") == 0 && madvise(memory, bytes, MADV_NOHUGEPAGE) != 0) Fail("madvise");
  if (strcmp(kind, "huge") == 0 && madvise(memory, bytes, MADV_HUGEPAGE) != 0) Fail("madvise");
  Fill(memory, bytes, kind);
}

static void MakeHole(long gib, long mib) {
  const size_t bytes = (size_t)gib << 30;
  char* memory = (char*)Map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  for (size_t i = 0; i < bytes; i += bytes / 16) memory[i] = 1;
  FillMemory(mib, "mixed");
}

static void Reserve(long gib, long pages, int at_ends) {
  const size_t bytes = (size_t)gib << 30;
  char* memory = (char*)Map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  if (madvise(memory, bytes, MADV_NOHUGEPAGE) != 0) Fail("madvise");
  for (long i = 0; i < pages; ++i) memory[i * 4096] = (char)('A' + i % 26);
  if (at_ends) memory[0] = 1, memory[bytes / 2] = 2, memory[bytes - 1] = 3;
}

static char* MapFile(const char* path, off_t* bytes) {
  const int file = open(path, O_RDONLY);
  if (file < 0) Fail(path);
  *bytes = lseek(file, 0, SEEK_END);
  char* memory = (char*)Map((size_t)*bytes, MAP_PRIVATE, file);
  close(file);  // a file system that hangs would be asked for it by the exit
  return memory;
}

static void WriteSomeOf(char* memory, off_t bytes) {
  for (off_t i = 0; i < bytes; i += 4096 * 4096) memory[i] = 1;
}

static void DeleteOwnProgram(void) {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) Fail("readlink");
  path[length] = '\0';
  if (unlink(path) != 0) Fail("unlink");
}

static int CrashInNamespaces(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET) != 0) Fail("unshare");
  const pid_t child = fork();
  if (child < 0) Fail("fork");
  if (child == 0) crash_here();
  int status;
  if (waitpid(child, &status, 0) != child) Fail("waitpid");
  return WIFSIGNALED(status) && WCOREDUMP(status) ? 0 : 1;
}

static int Storm(long count) {
  int starter[2];
  if (pipe2(starter, O_CLOEXEC) != 0) Fail("pipe2");
  for (long i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) Fail("fork");
    if (child == 0) {
      char unused;
      stop_first = 0;
      close(starter[1]);
      if (read(starter[0], &unused, 1) == 0) crash_here();  // end of file for all of them at once
      _exit(2);
    }
  }
  StopIfTold();
  close(starter[1]);
  long reaped = 0, dumped = 0;
  for (int status; wait(&status) > 0; ++reaped) dumped += WIFSIGNALED(status) && WCOREDUMP(status);
  printf("reaped %ld dumped %ld\n", reaped, dumped);
  return 0;
}

static int Loop(long count, long width, int by_abort) {
  stop_first = 0;
  long forked = 0, reaped = 0, dumped = 0;
  while (reaped < count) {
    for (; forked < count && forked - reaped < width; ++forked) {
      const pid_t child = fork();
      if (child < 0) Fail("fork");
      if (child == 0 && !by_abort) crash_here();
      if (child == 0 && forked % 2 == 0) crash_here_first();
      if (child == 0) crash_here_second();
    }
    int status;
    if (wait(&status) < 0) Fail("wait");
    ++reaped;
    dumped += WIFSIGNALED(status) && WCOREDUMP(status);
  }
  printf("reaped %ld dumped %ld\n", reaped, dumped);
  return 0;
}

int main(int argc, char** argv) {
  const char* way = argc > 1 ? argv[1] : "";
  const char* what = argc > 2 ? argv[2] : "";
  const char* more = argc > 3 ? argv[3] : "";
  const long number = strtol(what, NULL, 10);
  stop_first = strcmp(argv[argc - 1], "stop") == 0;
  if (strcmp(way, "namespaces") == 0) return CrashInNamespaces();
  if (strcmp(way, "storm") == 0) return Storm(number);
  if (strcmp(way, "loop") == 0) {
    StopIfTold();
    return Loop(number, strtol(more, NULL, 10), argc > 4 && strcmp(argv[4], "abort") == 0);
  }
  if (strcmp(way, "abort") == 0) crash_here_abort();
  if (strcmp(way, "threads") == 0) {
    if (strtol(more, NULL, 10) > 0) FillMemory(strtol(more, NULL, 10), "random");
    CrashAmongThreads(number);
  }

  if (strcmp(way, "vfork") == 0) return CrashInVfork();
  if (strcmp(way, "leave") == 0) {
    if (strcmp(what, "delete-exe") == 0) DeleteOwnProgram();
    FillMemory(8, "mixed");
    LeaveFirstThread();
  }

  if (strcmp(way, "mappings") == 0) {
    MakeMappings(number);
  } else if (strcmp(way, "memory") == 0) {
    FillMemory(number, more);
  } else if (strcmp(way, "hole") == 0) {
    MakeHole(number, strtol(more, NULL, 10));
  } else if (strcmp(way, "reserve") == 0) {
    Reserve(number, strtol(more, NULL, 10), strcmp(argv[argc - 1], "ends") == 0);
  } else if (strcmp(way, "file") == 0) {
    off_t bytes;
    char* memory = MapFile(what, &bytes);
    WriteSomeOf(memory, bytes);
  } else if (strcmp(way, "untouched") == 0) {
    off_t bytes;
    MapFile(what, &bytes);
  } else if (strcmp(way, "shared") == 0) {
    const size_t bytes = (size_t)number << 20;
    Fill(Map(bytes, MAP_SHARED | MAP_ANONYMOUS, -1), bytes, "mixed");
  } else if (strcmp(way, "delete-exe") == 0) {
    DeleteOwnProgram();
  } else if (strcmp(way, "named") == 0) {
    prctl(PR_SET_NAME, what, 0, 0, 0);
  } else if (strcmp(way, "segv") != 0) {
    fprintf(stderr, "crasher: no such way to die: \"%s\"\n", way);
    return 2;
  }
  crash_here();
}
