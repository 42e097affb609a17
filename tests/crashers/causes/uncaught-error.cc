#include <stdexcept>

#include "cause.h"

FUNCTION long read_config() {
  throw std::runtime_error("no configuration at /etc/shop");  // dies here
}

DIES_IN(read_config)
