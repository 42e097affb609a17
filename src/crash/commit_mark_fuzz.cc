// Any text is a commit mark or an error; what was taken is written and read again as the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crash/commit_mark.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto mark = obit::CommitFromJson({reinterpret_cast<const char*>(data), size});
  if (!mark) return 0;
  const std::string text = obit::CommitToJson(*mark);
  const auto again = obit::CommitFromJson(text);
  if (!again || obit::CommitToJson(*again) != text) std::abort();
  return 0;
}
