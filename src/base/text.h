#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace obit {

/// Length in bytes of the well-formed UTF-8 character that `text` begins with; 0 if it begins with none.
/// Overlong forms, surrogates and values above U+10FFFF are not well-formed (RFC 3629).
[[nodiscard]] std::size_t Utf8Length(std::string_view text);

/// `text` made safe to print: control characters, bytes that are not UTF-8, and the characters that reorder a
/// line (U+202A..202E, U+2066..2069) become \xNN; a newline \n; a backslash \\. Nothing printed can move the
/// cursor.
[[nodiscard]] std::string EscapeForTerminal(std::string_view text);

/// The same, but a backslash stays as it is: for text that people know or read as prose (a source line, a
/// message), where a second one would be wrong.
[[nodiscard]] std::string EscapeControls(std::string_view text);

/// Any bytes as valid UTF-8, and back without loss: a byte that is not UTF-8 becomes \xNN, a backslash \\.
[[nodiscard]] std::string BytesToUtf8(std::string_view bytes);
/// A backslash that begins neither form stands for itself.
[[nodiscard]] std::string Utf8ToBytes(std::string_view text);

/// The parts of `text` between `separator`s; an empty text has one empty part.
[[nodiscard]] std::vector<std::string_view> Split(std::string_view text, char separator);

[[nodiscard]] std::string_view Trim(std::string_view text);

/// All of `text` as an unsigned number in `base`, nothing else around it; nothing on overflow.
[[nodiscard]] std::optional<std::uint64_t> ParseUnsigned(std::string_view text, int base = 10);

/// What stands behind the last slash of a path; all of it where it has none.
[[nodiscard]] constexpr std::string_view FileNameOf(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace obit
