#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "analyze/core_image.h"

namespace obit {

/// The name in a std::type_info, as the compiler writes it ("St13runtime_error"). Nothing: there is none at
/// `type`.
[[nodiscard]] std::optional<std::string> ReadTypeName(CoreImage& image, std::uint64_t type);

struct ExceptionText {
  std::string text;
  bool guess = false;  ///< the text is in the object, but what() may say something else
};

/// What a thrown object says of itself: a number, a text, or what its what() returns, as far as that is known
/// from the standard classes that it derives from, or from the code of an own what() that is simple enough.
/// Else the first text that it holds, which is a guess. `llvm`: strings are laid out as in libc++.
[[nodiscard]] ExceptionText FindExceptionText(CoreImage& image, std::uint64_t object, std::uint64_t type,
                                              bool llvm);

}  // namespace obit
