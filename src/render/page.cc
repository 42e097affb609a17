#include "render/page.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "render/units.h"

namespace obit {
namespace {

constexpr std::size_t kLabel = 12;     // cells, with the gap behind it
constexpr std::size_t kUsual = 100;    // line length where there is no terminal
constexpr std::size_t kLinesMax = 12;  // of one field: a command line may have thousands of words

/// Lines of at most `width` cells; an item that is longer has its own.
std::vector<std::string> Wrap(const std::vector<std::string>& items, std::string_view separator,
                              std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t used = 0;
  for (const std::string& item : items) {
    const std::size_t cells = DisplayWidth(item);
    if (!line.empty() && used + DisplayWidth(separator) + cells > width) {
      lines.push_back(std::exchange(line, {}));
      used = 0;
    }
    if (!line.empty()) {
      line += separator;
      used += DisplayWidth(separator);
    }
    line += item;
    used += cells;
  }
  lines.push_back(line);
  return lines;
}

std::vector<std::string> Words(const std::string& text) {
  const auto words = Split(text, ' ');
  return {words.begin(), words.end()};
}

}  // namespace

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

Page::Page(const Terminal& terminal)
    : terminal_(terminal), width_(std::max<std::size_t>(terminal.width == 0 ? kUsual : terminal.width, 40)) {}

void Page::Field(std::string_view label, const std::string& text, Tone tone) {
  if (!text.empty()) Items(label, Words(text), " ", tone);
}

void Page::Items(std::string_view label, const std::vector<std::string>& items, std::string_view separator,
                 Tone tone) {
  const std::string head = fmt::format("  {:<{}}", label, kLabel), indent(head.size(), ' ');
  const auto lines = Wrap(items, separator, width_ - head.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i == kLinesMax) {
      Line(fmt::format("{}... {} more: see --json", indent, FormatCount(lines.size() - i, "line")),
           Tone::kDim);
      break;
    }
    out_ += i == 0 ? Paint(head, Tone::kDim, terminal_.colour) : indent;
    Line(lines[i], tone);
  }
}

void Page::Paragraph(std::size_t indent, const std::string& text, Tone tone) {
  if (terminal_.width == 0) return Line(std::string(indent, ' ') + text, tone);
  const auto lines = Wrap(Words(text), " ", width_ - std::min(indent, width_ / 2));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i == kLinesMax) {
      Line(fmt::format("{:{}}... {} more: see --json", "", indent, FormatCount(lines.size() - i, "line")),
           Tone::kDim);
      break;
    }
    out_.append(indent, ' ');
    Line(lines[i], tone);
  }
}

void Page::Line(const std::string& text, Tone tone) { out_ += Paint(text, tone, terminal_.colour) + "\n"; }

}  // namespace obit
