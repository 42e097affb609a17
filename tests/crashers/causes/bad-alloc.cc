// Grows until it may not.

#include <vector>

#include "cause.h"

namespace shop {

class Cache {
 public:
  __attribute__((noipa)) void Grow() {
    blocks_.push_back(new char[64 << 10]);  // dies here
    STAY();
  }

 private:
  std::vector<char*> blocks_;
};

}  // namespace shop

FUNCTION long fill_cache() {
  const rlimit limit = {8 << 20, 8 << 20};
  if (setrlimit(RLIMIT_DATA, &limit) != 0) Fail("setrlimit");
  for (shop::Cache cache;;) cache.Grow();
}

DIES_IN(fill_cache)
