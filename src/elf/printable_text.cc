#include "elf/printable_text.h"

#include <algorithm>
#include <cstddef>

#include "base/text.h"

namespace obit {
namespace {

bool IsUnprintable(std::string_view character) {
  return character.empty() ||
         (character != std::string_view("\0", 1) && EscapeControls(character) != character);
}

/// Calls `found` with where each unprintable character is, and how many bytes it has.
template <class Found>
void FindUnprintable(std::string_view text, Found found) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= ' ' && byte < 0x7f) {
      ++at;
      continue;
    }
    const std::size_t length = Utf8Length(text.substr(at));
    const std::size_t bytes = std::max<std::size_t>(length, 1);
    if (IsUnprintable(text.substr(at, length))) found(at, bytes);
    at += bytes;
  }
}

}  // namespace

bool ReplaceUnprintable(std::string& text) {
  bool changed = false;
  FindUnprintable(text, [&](std::size_t at, std::size_t bytes) {
    text.replace(at, bytes, bytes, '?');
    changed = true;
  });
  return changed;
}

bool IsPrintable(std::string_view text) {
  bool printable = true;
  FindUnprintable(text, [&](std::size_t, std::size_t) { printable = false; });
  return printable;
}

}  // namespace obit
