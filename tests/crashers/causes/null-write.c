#include "cause.h"

struct Entry {
  struct Entry* next;
  long key, value;
};

FUNCTION long insert(void) {
  struct Entry* entry = HIDE((struct Entry*)NULL);
  entry->value = 7;  // dies here
  return 0;
}

DIES_IN(insert)
