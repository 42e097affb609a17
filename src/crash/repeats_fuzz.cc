// Any text is a count of repeats or an error; what was taken is written and read again as the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crash/repeats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto repeats = obit::RepeatsFromJson({reinterpret_cast<const char*>(data), size});
  if (!repeats) return 0;
  const std::string text = obit::RepeatsToJson(*repeats);
  const auto again = obit::RepeatsFromJson(text);
  if (!again || obit::RepeatsToJson(*again) != text) std::abort();
  return 0;
}
