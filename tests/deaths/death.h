// What the programs of this folder share. Each dies in the way that its first argument names, a function of a
// table.

#pragma once

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/// A function that stays as it is written, neither inlined nor cloned.
#define DEATH __attribute__((noinline, used)) static void

/// `value`, of which the compiler knows nothing.
#define HIDE(value)                      \
  __extension__({                        \
    __typeof__(value) hidden = (value);  \
    __asm__ volatile("" : "+r"(hidden)); \
    hidden;                              \
  })

struct way {
  const char* name;
  void (*die)(void);
};

static inline void must(int fine, const char* what) {
  if (fine) return;
  perror(what);
  exit(2);
}

static inline char* map_page(int protection) {
  void* page = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(page != MAP_FAILED, "mmap");
  return (char*)page;
}

/// Dies as `name` says; 77: it cannot be done here.
static inline int die_by(const struct way* ways, size_t count, const char* name) {
  for (size_t i = 0; i < count; ++i)
    if (name && strcmp(ways[i].name, name) == 0) {
      ways[i].die();
      fprintf(stderr, "%s: still alive\n", name);
      return 3;
    }
  fprintf(stderr, "no such way: %s\n", name ? name : "none");
  return 2;
}

#define DIES_BY(ways)                                                              \
  int main(int argc, char** argv) {                                                \
    return die_by(ways, sizeof(ways) / sizeof *(ways), argc > 1 ? argv[1] : NULL); \
  }
