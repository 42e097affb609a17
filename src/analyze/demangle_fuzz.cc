// Any bytes as the name of a function: names of symbols come from hostile files.

#include <cstdint>
#include <string>

#include "analyze/demangle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string name(reinterpret_cast<const char*>(data), size);
  (void)obit::PlainName(name);
  (void)obit::PlainName(obit::Demangle(name));
  return 0;
}
