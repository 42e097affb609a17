#pragma once

#include <string_view>

namespace obit {

/// True if all of `text` fits: "*" stands for any bytes, slashes too, "?" for one byte. It takes no longer
/// than the product of both lengths, whatever they are.
[[nodiscard]] bool FitsGlob(std::string_view glob, std::string_view text);

}  // namespace obit
