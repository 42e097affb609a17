// What the programs of this folder share. Each dies in one function, called through `handle` and `serve`, on
// the line that says `dies here`: the tests look for it. They are built at several levels of optimisation.

#pragma once

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/// A function that stays as it is written: neither inlined nor cloned, and its caller knows nothing of it.
#define FUNCTION __attribute__((noipa)) static

/// Behind the last call of a function: keeps it on the stack, which a jump in place of the call would not.
#define STAY() __asm__ volatile("")

/// `value`, of which the compiler knows nothing.
#define HIDE(value)                      \
  __extension__({                        \
    __typeof__(value) hidden = (value);  \
    __asm__ volatile("" : "+r"(hidden)); \
    hidden;                              \
  })

/// The arguments of the program, from the first.
static char** arguments;

static inline void Fail(const char* what) {
  perror(what);
  exit(2);
}

/// A page of memory with the rights `protection`.
static inline char* MapPage(int protection) {
  void* page = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) Fail("mmap");
  return (char*)page;
}

/// An address where there is no memory.
static inline char* UnmappedPage(void) {
  char* page = MapPage(PROT_READ);
  if (munmap(page, 4096) != 0) Fail("munmap");
  return page + 0x123;
}

FUNCTION long handle(long (*function)(void)) {
  const long result = function();
  STAY();
  return result;
}

FUNCTION long serve(long (*function)(void)) {
  const long result = handle(function);
  STAY();
  return result;
}

/// The program that dies in `function`.
#define DIES_IN(function)                    \
  int main(int argc, char** argv) {          \
    (void)argc;                              \
    arguments = argv + 1;                    \
    const int result = (int)serve(function); \
    STAY();                                  \
    return result;                           \
  }
