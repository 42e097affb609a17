// Any bytes as a symbol: names come from hostile files.

#include <cstdint>
#include <string>

#include "analyze/demangle.h"
#include "crash/plain_name.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string symbol(reinterpret_cast<const char*>(data), size);
  (void)obit::PlainName(symbol);
  (void)obit::PlainName(obit::Demangle(symbol));
  return 0;
}
