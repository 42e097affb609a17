#include "render/function_name.h"

#include <algorithm>

#include "base/text.h"
#include "render/terminal.h"

namespace obit {
namespace {

/// A longer name is cut before it is looked at, bytes.
constexpr std::size_t kNameMax = 4096;
constexpr std::string_view kAnonymous = "(anonymous namespace)";

void Replace(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

/// How libstdc++ names std::string is longer than most functions.
std::string WithUsualNames(std::string_view name) {
  std::string text = EscapeForTerminal(name.substr(0, kNameMax));
  if (name.size() > kNameMax) text += "…";
  Replace(text, "std::__cxx11::", "std::");
  for (const char* string : {"std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
                             "std::basic_string<char, std::char_traits<char>, std::allocator<char>>"})
    Replace(text, string, "std::string");
  return text;
}

/// Bytes of an operator's name from "operator" on, where `text` begins with it: its signs are no brackets.
std::size_t OperatorLength(std::string_view text) {
  constexpr std::string_view kWord = "operator", kSigns = "<>=-()[]+*/%^&|~!,";
  if (!text.starts_with(kWord)) return 0;
  std::string_view signs = text.substr(kWord.size());
  if (signs.starts_with("()")) return kWord.size() + 2;
  for (const std::string_view name : {"<<=", ">>=", "<=>", "->*", "<<", ">>", "<=", ">=", "->", "<", ">"})
    if (signs.starts_with(name)) return kWord.size() + name.size();
  const std::size_t length = signs.find_first_not_of(kSigns);
  return length == 0 || signs.starts_with('(') ? 0 : kWord.size() + std::min(length, signs.size());
}

/// Replaces what stands between the outermost `open` and `close` by "…". Brackets of other kinds hide the
/// inner ones.
std::string Collapse(std::string_view name, char open, char close) {
  std::string out;
  std::size_t depth = 0, braces = 0;
  for (std::size_t i = 0; i < name.size();) {
    const std::string_view rest = name.substr(i);
    std::size_t length = std::max<std::size_t>(OperatorLength(rest), 1);
    if (rest.starts_with(kAnonymous)) length = kAnonymous.size();
    if (length > 1) {
      if (depth == 0) out += rest.substr(0, length);
      i += length;
      continue;
    }
    const char c = name[i++];
    if (open == '(' && c == '{') ++braces;  // a lambda: its parameters tell it from others
    if (open == '(' && c == '}' && braces > 0) --braces;
    if (c == open && braces == 0 && depth++ == 0) {
      out += c;
      if (!rest.substr(1).starts_with(close)) out += "…";
    }
    const bool is_arrow = c == '>' && i > 1 && name[i - 2] == '-';
    if (c == close && braces == 0 && depth > 0 && !is_arrow) --depth;
    if (depth == 0) out += c;
  }
  return depth == 0 ? out : std::string(name);  // brackets that do not match: no name that is known here
}

}  // namespace

std::string ShortenBeginning(std::string_view text, std::size_t width) {
  std::size_t cells = DisplayWidth(text);
  if (width == 0 || cells <= width) return std::string(text);
  while (!text.empty() && cells >= width) {
    const std::size_t length = std::max<std::size_t>(Utf8Length(text), 1);
    cells -= DisplayWidth(text.substr(0, length));
    text.remove_prefix(length);
  }
  return "…" + std::string(text);
}

std::string ShortenFunction(std::string_view name, std::size_t width) {
  std::string text = WithUsualNames(name);
  const auto fits = [&] { return width == 0 || DisplayWidth(text) <= width; };
  if (fits()) return text;
  text = Collapse(text, '<', '>');
  if (fits()) return text;
  text = Collapse(text, '(', ')');
  return fits() ? text : ShortenBeginning(text, width);
}

std::string BriefFunction(std::string_view name) {
  std::string text = Collapse(Collapse(WithUsualNames(name), '<', '>'), '(', ')');
  Replace(text, "<…>", "");
  Replace(text, kAnonymous, "{anonymous}");
  if (text.find("operator") == std::string::npos) text.erase(std::min(text.find('('), text.size()));
  // The type that is returned stands before; it has no braces.
  const std::size_t brace = text.find('{');
  if (const std::size_t space = text.substr(0, brace).rfind(' ');
      space != std::string::npos && text.find("operator") == std::string::npos)
    text.erase(0, space + 1);
  const std::size_t last = text.rfind("::");
  if (last == std::string::npos || last == 0) return text;
  const std::size_t before = text.rfind("::", last - 1);
  return before == std::string::npos ? text : text.substr(before + 2);
}

}  // namespace obit
