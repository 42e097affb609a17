// What the C library itself gives up for. Built with -D_FORTIFY_SOURCE=2 -fstack-protector-all.
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>

#include "death.h"

static volatile int one = 1;

DEATH plain(void) { abort(); }
DEATH assertion(void) { assert(one == 2 && "two is expected"); }
DEATH assertion_of_call(void) { assert_perror(one * ENOENT); }
DEATH freed_twice(void) {
  char* memory = HIDE((char*)malloc(2000));
  malloc(10);
  free(memory);
  free(HIDE(memory));
}
DEATH freed_twice_small(void) {
  char* memory = HIDE((char*)malloc(20));
  free(memory);
  free(HIDE(memory));
}
DEATH freed_inside(void) { free(HIDE((char*)malloc(100) + 8)); }
DEATH freed_stack(void) {
  char room[64] = {0};
  free(HIDE((char*)room + 16));
}
DEATH reallocated_wild(void) { printf("%p", realloc(HIDE((char*)malloc(100) + 16), 5000)); }
DEATH heap_overrun(void) {
  char* memory = HIDE((char*)malloc(24));
  char* next = HIDE((char*)malloc(2000));
  for (int i = 0; i < HIDE(64); ++i) memory[i] = 'A';
  free(next);
}
DEATH top_overrun(void) {
  char* memory = HIDE((char*)malloc(24));
  for (int i = 0; i < HIDE(40); ++i) memory[i] = (char)0xff;
  printf("%p", malloc(HIDE(100000UL)));
}
DEATH stack_smashed(void) {
  char room[16];
  for (int i = 0; i < HIDE(100); ++i) *(volatile char*)HIDE(room + i) = 'A';
}
DEATH copied_too_much(void) {
  char room[16];
  memcpy(HIDE(&room[0]), "x", 1);
  memset(room, 0, (size_t)HIDE(17));
  puts(room);
}
DEATH text_too_long(void) {
  char room[8];
  strcpy(room, HIDE((char*)"much longer than eight"));
  puts(room);
}
DEATH printed_too_much(void) {
  char room[8];
  sprintf(room, "%s", HIDE((char*)"much longer than eight"));
  puts(room);
}
DEATH percent_n(void) {
  static char format[] = "%n";
  int count;
  printf(HIDE((char*)format), &count);
}
static void own_die(const char* why) {
  fprintf(stderr, "fatal: %s\n", why);
  abort();
}
DEATH through_own_helper(void) { own_die("nothing works"); }

static const struct way ways[] = {
    {"plain", plain},
    {"assertion", assertion},
    {"assertion-of-call", assertion_of_call},
    {"freed-twice", freed_twice},
    {"freed-twice-small", freed_twice_small},
    {"freed-inside", freed_inside},
    {"freed-stack", freed_stack},
    {"reallocated-wild", reallocated_wild},
    {"heap-overrun", heap_overrun},
    {"top-overrun", top_overrun},
    {"stack-smashed", stack_smashed},
    {"copied-too-much", copied_too_much},
    {"text-too-long", text_too_long},
    {"printed-too-much", printed_too_much},
    {"percent-n", percent_n},
    {"through-own-helper", through_own_helper},
};
DIES_BY(ways)
