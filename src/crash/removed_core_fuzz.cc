// Any text is the note of a removal or an error; what was taken is written and read again as the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crash/removed_core.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto removed = obit::RemovedCoreFromJson({reinterpret_cast<const char*>(data), size});
  if (!removed) return 0;
  const std::string text = obit::RemovedCoreToJson(*removed);
  if (text.size() > obit::kRemovedJsonMax) return 0;  // it was written without spaces, and with fewer escapes
  const auto again = obit::RemovedCoreFromJson(text);
  if (!again || obit::RemovedCoreToJson(*again) != text) std::abort();
  return 0;
}
