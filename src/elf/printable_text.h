#pragma once

#include <string>
#include <string_view>

namespace obit {

/// Each byte of a character of `text` that could move a cursor becomes "?"; NUL stays. True if there was one.
bool ReplaceUnprintable(std::string& text);

/// `text` has no such character.
[[nodiscard]] bool IsPrintable(std::string_view text);

}  // namespace obit
