#include "render/terminal.h"

#include <algorithm>
#include <cstdlib>
#include <cwchar>

#include <fmt/format.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

namespace obit {
namespace {

std::string_view CodeOf(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      break;
    case Tone::kStrong:
      return "1";
    case Tone::kDim:
      return "2";
    case Tone::kGood:
      return "32";
    case Tone::kWarning:
      return "33";
    case Tone::kBad:
      return "31";
  }
  return "";
}

wchar_t Decode(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]);
  unsigned value = static_cast<unsigned char>(character[0]) & (0xffu >> (character.size() + 1));
  for (const char c : character.substr(1)) value = value << 6 | (static_cast<unsigned char>(c) & 0x3f);
  return static_cast<wchar_t>(value);
}

/// wcwidth(3) knows only the characters of the thread's locale: this makes it UTF-8 while it lives.
class Utf8Locale {
 public:
  Utf8Locale() {
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (utf8 != nullptr) before_ = ::uselocale(utf8);
  }
  Utf8Locale(Utf8Locale&&) = delete;
  ~Utf8Locale() {
    if (before_ != nullptr) ::uselocale(before_);
  }

 private:
  locale_t before_ = nullptr;
};

/// Calls visit(character, cells) for each character, until it returns false.
template <class Visit>
void ForEachCharacter(std::string_view text, Visit visit) {
  const Utf8Locale locale;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(Utf8Length(text), 1);
    const std::string_view character = text.substr(0, length);
    const int cells = ::wcwidth(Decode(character));
    if (!visit(character, static_cast<std::size_t>(cells < 0 ? 1 : cells))) return;
    text.remove_prefix(length);
  }
}

}  // namespace

Terminal TerminalOf(int fd) {
  Terminal terminal;
  terminal.interactive = ::isatty(fd) == 1;
  if (!terminal.interactive) return terminal;
  const char* no_color = std::getenv("NO_COLOR");  // no-color.org: any value but the empty one
  const char* term = std::getenv("TERM");
  terminal.colour =
      (no_color == nullptr || *no_color == '\0') && term != nullptr && std::string_view(term) != "dumb";
  winsize size{};
  constexpr std::size_t kUsualWidth = 80, kUsualHeight = 24;
  const bool known = ::ioctl(fd, TIOCGWINSZ, &size) == 0;
  terminal.width = known && size.ws_col > 0 ? size.ws_col : kUsualWidth;
  terminal.height = known && size.ws_row > 0 ? size.ws_row : kUsualHeight;
  return terminal;
}

std::string Paint(std::string_view text, Tone tone, bool colour) {
  if (!colour || tone == Tone::kPlain || text.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", CodeOf(tone), text);
}

std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  ForEachCharacter(text, [&](std::string_view, std::size_t cells) {
    width += cells;
    return true;
  });
  return width;
}

std::string Shorten(std::string_view text, std::size_t width) {
  if (width == 0 || DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  std::size_t used = 1;  // of the ellipsis
  ForEachCharacter(text, [&](std::string_view character, std::size_t cells) {
    used += cells;
    if (used > width) return false;
    out += character;
    return true;
  });
  return out + "…";
}

}  // namespace obit
