#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace obit {

// Names of functions as demanglers write them: C++ above all, which can take hundreds of letters.

/// `name`, escaped for a terminal, in at most `width` cells (0 is unlimited). What says least goes first: the
/// arguments of templates become "<…>", the types of parameters "(…)", and then the beginning is cut.
/// std::string is called so whatever the width.
[[nodiscard]] std::string ShortenFunction(std::string_view name, std::size_t width);

/// The name alone for a list in one line: "Handler::serve" of "int web::Handler::serve<A>(Request const&)
/// const".
[[nodiscard]] std::string BriefFunction(std::string_view name);

/// The end of `text` (escaped) that fits `width` cells, with "…" before it if something is missing. 0 is
/// unlimited.
[[nodiscard]] std::string ShortenBeginning(std::string_view text, std::size_t width);

}  // namespace obit
