// An exception of the program's own, which has no what().

#include "cause.h"

namespace shop {
struct OutOfStock {
  int article;
};
}  // namespace shop

FUNCTION long order() {
  throw shop::OutOfStock{4711};  // dies here
}

DIES_IN(order)
