#include "cause.h"

struct Entry {
  struct Entry* next;
  long key, hash, value;
};

FUNCTION long look_up(void) {
  const struct Entry* entry = HIDE((struct Entry*)NULL);
  return entry->value;  // dies here
}

DIES_IN(look_up)
