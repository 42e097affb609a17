#include "cause.h"

struct Entry {
  long key, value;
};

FUNCTION long look_up(void) {
  const struct Entry* entry = HIDE((struct Entry*)NULL);
  return entry->key;  // dies here
}

DIES_IN(look_up)
