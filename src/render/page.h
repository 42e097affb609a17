#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "render/terminal.h"

namespace obit {

/// Parts joined by `separator`; empty ones are left out.
[[nodiscard]] std::string Join(const std::vector<std::string>& parts, std::string_view separator);

/// A page of text that grows from the top: lines, and fields "  Label       text" that wrap. All text is fit
/// for a terminal.
class Page {
 public:
  explicit Page(const Terminal& terminal);

  /// The width of a line in cells: the terminal's, or a usual one where there is none.
  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] const Terminal& terminal() const { return terminal_; }

  /// `text` breaks at spaces. An empty one has no line.
  void Field(std::string_view label, const std::string& text, Tone tone = Tone::kPlain);
  /// Items that stay whole, with a separator between those of one line.
  void Items(std::string_view label, const std::vector<std::string>& items, std::string_view separator,
             Tone tone);
  /// `text` as a paragraph: each line begins with `indent` spaces, and on a terminal it breaks at spaces.
  void Paragraph(std::size_t indent, const std::string& text, Tone tone = Tone::kPlain);
  void Line(const std::string& text, Tone tone = Tone::kPlain);
  /// Lines that are complete, with colours and newlines.
  void Append(std::string_view lines) { out_ += lines; }

  [[nodiscard]] std::string Take() { return std::move(out_); }

 private:
  Terminal terminal_;
  std::size_t width_;
  std::string out_;
};

}  // namespace obit
