// Any text is a record or an error; what was taken is written and read again as the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crash/record_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto record = obit::RecordFromJson({reinterpret_cast<const char*>(data), size});
  if (!record) return 0;
  const std::string text = obit::RecordToJson(*record);
  // Bytes that JSON must escape take up to six times the room: a record near the limit may grow past it.
  if (text.size() > obit::kRecordJsonMax) return 0;
  const auto again = obit::RecordFromJson(text);
  if (!again || obit::RecordToJson(*again) != text) std::abort();
  return 0;
}
