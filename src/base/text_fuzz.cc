// Any bytes to print: nothing of the terminal's language gets through, and what is stored comes back.

#include <cstdlib>

#include "base/text.h"

namespace {

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = obit::Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool IsPrintable(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned first = static_cast<unsigned char>(text[i]);
    if (first < 0x20 || first == 0x7f) return false;
    // U+0080..009F. In valid UTF-8 this byte begins a character, and another one follows.
    if (first == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string escaped = obit::EscapeForTerminal(bytes);
  if (!IsUtf8(escaped) || !IsPrintable(escaped)) std::abort();
  const std::string stored = obit::BytesToUtf8(bytes);
  if (!IsUtf8(stored) || obit::Utf8ToBytes(stored) != bytes) std::abort();
  (void)obit::Utf8ToBytes(bytes);
  return 0;
}
