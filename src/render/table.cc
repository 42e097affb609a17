#include "render/table.h"

#include <algorithm>

namespace obit {
namespace {

constexpr std::size_t kGap = 2;

/// The width of a line with these columns; a width of 0 is a column that is left out.
std::size_t LineWidth(const std::vector<std::size_t>& widths) {
  std::size_t line = 0;
  for (const std::size_t width : widths)
    if (width > 0) line += width + (line > 0 ? kGap : 0);
  return line;
}

}  // namespace

/// Column widths in cells; 0 for one that is left out. From the last column to the first, so that the first
/// ones, by which a row is found, stay whole the longest: leave out where even the narrowest columns have no
/// room, and cut only as far as it takes then.
std::vector<std::size_t> Table::Widths(std::size_t line) const {
  std::vector<std::size_t> widths(columns_.size());
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t widest = 0;
    for (const auto& row : rows_) widest = std::max(widest, DisplayWidth(row[c].text));
    if (widest > 0 || !columns_[c].optional) widths[c] = std::max(widest, DisplayWidth(columns_[c].title));
  }
  if (line == 0) return widths;
  auto narrowest = widths;
  for (std::size_t c = 0; c < columns_.size(); ++c)
    if (columns_[c].shrinks_to > 0) narrowest[c] = std::min(widths[c], columns_[c].shrinks_to);
  for (std::size_t c = columns_.size(); c-- > 0 && LineWidth(narrowest) > line;)
    if (columns_[c].optional) widths[c] = narrowest[c] = 0;
  for (std::size_t c = columns_.size(); c-- > 0 && LineWidth(widths) > line;)
    widths[c] -= std::min(LineWidth(widths) - line, widths[c] - narrowest[c]);
  return widths;
}

std::string Table::Render(const Terminal& terminal) const {
  const auto widths = Widths(terminal.width);
  std::string out;
  const auto add_line = [&](const std::vector<Cell>& row) {
    std::string line;
    std::size_t pending = 0;  // spaces that are due only if something follows
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (widths[c] == 0) continue;
      const std::string text = Shorten(row[c].text, widths[c]);
      const std::size_t padding = widths[c] - std::min(widths[c], DisplayWidth(text));
      const bool right = columns_[c].align == Align::kRight;
      if (!text.empty()) {
        line.append(pending + (right ? padding : 0), ' ');
        line += Paint(text, row[c].tone, terminal.colour);
        pending = right ? 0 : padding;
      } else {
        pending += widths[c];
      }
      pending += kGap;
    }
    out += line + "\n";
  };
  std::vector<Cell> titles;
  titles.reserve(columns_.size());
  for (const Column& column : columns_) titles.push_back({column.title, Tone::kDim});
  if (std::ranges::any_of(columns_, [](const Column& column) { return !column.title.empty(); }))
    add_line(titles);
  for (const auto& row : rows_) add_line(row);
  return out;
}

}  // namespace obit
