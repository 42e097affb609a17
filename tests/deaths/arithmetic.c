// Divisions, floating point, and memory that the system cannot give.
#define _GNU_SOURCE
#include <fcntl.h>
#include <fenv.h>
#include <limits.h>
#include <math.h>
#include <sys/syscall.h>

#include "death.h"

static volatile int zero = 0, minus_one = -1, least = INT_MIN;
static volatile long long_zero = 0, long_minus_one = -1, long_least = LONG_MIN;
static volatile double sink;

DEATH by_zero(void) { printf("%d", HIDE(7) / HIDE(0)); }
DEATH by_zero_in_memory(void) { __asm__ volatile("cltd\n\tidivl %0" : : "m"(zero), "a"(7) : "edx"); }
DEATH unsigned_by_zero(void) { printf("%u", HIDE(7U) % (unsigned)HIDE(0)); }
DEATH long_by_zero(void) { printf("%ld", 7 % long_zero); }
DEATH least_by_minus_one(void) { printf("%d", HIDE(INT_MIN) / HIDE(-1)); }
DEATH least_by_minus_one_in_memory(void) {
  __asm__ volatile("cltd\n\tidivl %0" : : "m"(minus_one), "a"(least) : "edx");
}
DEATH long_least_by_minus_one(void) { printf("%ld", long_least % long_minus_one); }
DEATH quotient_too_big(void) { __asm__ volatile("divl %0" : : "r"(2), "a"(0), "d"(5) : "cc"); }
DEATH quotient_too_big_in_memory(void) {
  static volatile long two = 2;
  __asm__ volatile("divq %0" : : "m"(two), "a"(0L), "d"(9L) : "cc");
}
DEATH byte_quotient_too_big(void) { __asm__ volatile("divb %%bl" : : "a"(0x1000), "b"(3) : "cc"); }
DEATH float_by_zero(void) {
  feenableexcept(FE_DIVBYZERO);
  sink = HIDE(1.0) / zero;
}
DEATH float_overflow(void) {
  feenableexcept(FE_OVERFLOW);
  volatile double big = 1e300;
  sink = big * big;
}
DEATH float_underflow(void) {
  feenableexcept(FE_UNDERFLOW);
  volatile double small = 1e-300;
  sink = small * small;
}
DEATH float_invalid(void) {
  feenableexcept(FE_INVALID);
  volatile double none = 0.0;
  sink = none / none;
}
DEATH x87_by_zero(void) {
  feenableexcept(FE_DIVBYZERO);
  volatile long double none = 0.0L, one = 1.0L;
  volatile long double result = one / none;
  (void)result;
  __asm__ volatile("fwait");
}

static int temporary(const char* folder) {
  const int file = open(folder, O_TMPFILE | O_RDWR, 0600);
  must(file >= 0, folder);
  return file;
}
static volatile char* map_file(int file, size_t bytes) {
  volatile char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  must(memory != MAP_FAILED, "mmap");
  return memory;
}
DEATH file_cut(void) {
  const int file = temporary("/var/tmp");
  must(ftruncate(file, 8192) == 0, "ftruncate");
  volatile char* memory = map_file(file, 8192);
  must(ftruncate(file, 100) == 0, "ftruncate");
  memory[4096 + 12] = 1;
}
DEATH file_empty(void) { printf("%d", map_file(temporary("/var/tmp"), 4096)[0]); }
DEATH memory_file_cut(void) {
  const int file = memfd_create("cut", 0);
  must(ftruncate(file, 4096) == 0, "ftruncate");
  printf("%d", map_file(file, 8192)[4096]);
}
/// $TINY is a folder of a small tmpfs.
DEATH file_system_full(void) {
  const char* tiny = getenv("TINY");
  if (!tiny) exit(77);
  const int file = temporary(tiny);
  must(ftruncate(file, 64 << 20) == 0, "ftruncate");
  volatile char* memory = map_file(file, 64 << 20);
  for (size_t at = 0; at < 64 << 20; at += 4096) memory[at] = 1;
}
static int named(const char* folder, const char* name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  must(file >= 0, path);
  return file;
}
DEATH named_file_cut(void) {
  const int file = named(".", "cut");
  must(ftruncate(file, 100) == 0, "ftruncate");
  map_file(file, 8192)[4096 + 12] = 1;
}
DEATH named_file_system_full(void) {
  if (!getenv("TINY")) exit(77);
  const int file = named(getenv("TINY"), "full");
  must(ftruncate(file, 64 << 20) == 0, "ftruncate");
  volatile char* memory = map_file(file, 64 << 20);
  for (size_t at = 0; at < 64 << 20; at += 4096) memory[at] = 1;
}
DEATH no_huge_page(void) {
  volatile char* memory = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) exit(77);
  memory[5] = 1;
}
DEATH alignment_check(void) {
  static char room[16];
  __asm__ volatile("pushf\n\torl $0x40000, (%%rsp)\n\tpopf\n\tmovl 1(%0), %%eax"
                   :
                   : "r"(HIDE((char*)room))
                   : "rax", "cc", "memory");
}
DEATH hardware(void) {
  siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_MCEERR_AR};
  info.si_addr = (void*)0x7f1234567000;
  syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGBUS, &info);
}

static const struct way ways[] = {
    {"by-zero", by_zero},
    {"by-zero-in-memory", by_zero_in_memory},
    {"unsigned-by-zero", unsigned_by_zero},
    {"long-by-zero", long_by_zero},
    {"least-by-minus-one", least_by_minus_one},
    {"least-by-minus-one-in-memory", least_by_minus_one_in_memory},
    {"long-least-by-minus-one", long_least_by_minus_one},
    {"quotient-too-big", quotient_too_big},
    {"quotient-too-big-in-memory", quotient_too_big_in_memory},
    {"byte-quotient-too-big", byte_quotient_too_big},
    {"float-by-zero", float_by_zero},
    {"float-overflow", float_overflow},
    {"float-underflow", float_underflow},
    {"float-invalid", float_invalid},
    {"x87-by-zero", x87_by_zero},
    {"file-cut", file_cut},
    {"file-empty", file_empty},
    {"memory-file-cut", memory_file_cut},
    {"file-system-full", file_system_full},
    {"named-file-cut", named_file_cut},
    {"named-file-system-full", named_file_system_full},
    {"no-huge-page", no_huge_page},
    {"alignment-check", alignment_check},
    {"hardware", hardware},
};
DIES_BY(ways)
