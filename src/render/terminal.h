#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace obit {

/// What a descriptor is for text: a terminal, or anything else.
struct Terminal {
  bool interactive = false;  ///< it is a terminal
  bool colour = false;       ///< and may be sent colours: NO_COLOR is unset, TERM is not "dumb"
  std::size_t width = 0;     ///< columns; 0 is unlimited: a pipe or file gets everything
  std::size_t height = 0;    ///< lines; 0 is unlimited
};
[[nodiscard]] Terminal TerminalOf(int fd);

/// How a piece of text stands out, where there is colour.
enum class Tone { kPlain, kStrong, kDim, kGood, kWarning, kBad };

/// `text` in `tone`; as it is without `colour`.
[[nodiscard]] std::string Paint(std::string_view text, Tone tone, bool colour);

/// Cells that `text` (UTF-8, escaped by EscapeForTerminal) takes on a terminal. A locale does not matter.
[[nodiscard]] std::size_t DisplayWidth(std::string_view text);

/// The beginning of `text` that fits `width` cells, with "…" at its end if something is missing. 0 is
/// unlimited.
[[nodiscard]] std::string Shorten(std::string_view text, std::size_t width);

}  // namespace obit
