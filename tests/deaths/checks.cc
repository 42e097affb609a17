// What the checks of C++ libraries and of sanitizers find. Built with -D_GLIBCXX_ASSERTIONS, or with clang,
// libc++ and its hardening, or with one of the sanitizers.
#include <climits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

extern "C" {
#include "death.h"
}

namespace {

struct Item {
  int value = 1;
};

DEATH vector_index() {
  std::vector<int> values(3);
  printf("%d", values[HIDE(std::size_t{10})]);
}
DEATH empty_back() {
  std::vector<int> values;
  values.reserve(4);
  printf("%d", values.back());
}
DEATH empty_optional() {
  std::optional<int> nothing;
  if (HIDE(0) != 0) nothing = 1;
  printf("%d", *nothing);
}
DEATH string_index() {
  const std::string text = "abc";
  printf("%d", text[HIDE(std::size_t{100})]);
}
DEATH null_unique() {
  std::unique_ptr<Item> nothing(HIDE(static_cast<Item*>(nullptr)));
  printf("%d", (*nothing).value);
}
DEATH heap_overflow() {
  char* memory = HIDE(static_cast<char*>(malloc(10)));
  memory[HIDE(10)] = 1;
  free(memory);
}
DEATH use_after_free() {
  int* memory = HIDE(new int(1));
  delete memory;
  printf("%d", *HIDE(memory));
}
DEATH stack_overflow_of_array() {
  volatile char room[10] = {};
  *HIDE(&room[0] + HIDE(10)) = 1;
}
DEATH freed_twice() {
  char* memory = HIDE(static_cast<char*>(malloc(10)));
  free(memory);
  free(HIDE(memory));
}
DEATH signed_overflow() { printf("%d", HIDE(INT_MAX) + HIDE(1)); }
DEATH shifted_too_far() { printf("%d", HIDE(1) << HIDE(40)); }
DEATH array_index() {
  static int values[4];
  printf("%d", values[HIDE(7)]);
}
DEATH null_reference() { printf("%d", HIDE(static_cast<Item*>(nullptr))->value); }
DEATH by_zero() { printf("%d", HIDE(1) / HIDE(0)); }
DEATH misaligned() {
  static char room[16];
  printf("%d", *reinterpret_cast<int*>(HIDE(&room[0]) + 1));
}
__attribute__((noinline)) int falls(int value) {
  if (value == 1) return 2;
  __builtin_unreachable();
}
DEATH unreachable() { printf("%d", falls(HIDE(3))); }
bool odd_flag() {
  static unsigned char byte = 7;
  bool flag;
  memcpy(&flag, HIDE(&byte), 1);
  return flag;
}
DEATH bad_bool() { printf("%d", odd_flag() ? 1 : 2); }

const way ways[] = {
    {"vector-index", vector_index},
    {"empty-back", empty_back},
    {"empty-optional", empty_optional},
    {"string-index", string_index},
    {"null-unique", null_unique},
    {"heap-overflow", heap_overflow},
    {"use-after-free", use_after_free},
    {"stack-overflow", stack_overflow_of_array},
    {"freed-twice", freed_twice},
    {"signed-overflow", signed_overflow},
    {"shifted-too-far", shifted_too_far},
    {"array-index", array_index},
    {"null-reference", null_reference},
    {"by-zero", by_zero},
    {"misaligned", misaligned},
    {"unreachable", unreachable},
    {"bad-bool", bad_bool},
};

}  // namespace

DIES_BY(ways)
