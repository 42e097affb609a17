#include "crash/plain_name.h"

#include <algorithm>

namespace obit {
namespace {

/// Index behind the group that opens at `at`; the end of the text if it does not close. "->" closes nothing.
std::size_t SkipGroup(std::string_view text, std::size_t at, char open, char close) {
  int depth = 0;
  for (; at < text.size(); ++at) {
    if (text[at] == open) ++depth;
    if (text[at] == close && !(close == '>' && at > 0 && text[at - 1] == '-') && --depth == 0) return at + 1;
  }
  return at;
}

constexpr std::string_view kOperator = "operator";

/// "operator<", "operator()", "operator->": the sign belongs to the name.
std::size_t OperatorSign(std::string_view text) {
  std::size_t at = kOperator.size();
  if (text.substr(at).starts_with("()")) return at + 2;
  if (text.substr(at).starts_with(' '))
    return std::min(text.find('(', at), text.size());  // new, delete, a type
  while (at < text.size() && std::string_view("+-*/%^&|~!=<>,[]").contains(text[at])) ++at;
  return at;
}

bool IsWord(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

std::string PlainName(std::string_view function) {
  std::string out;
  for (std::size_t at = 0; at < function.size();) {
    const std::string_view rest = function.substr(at);
    if (rest.starts_with(kOperator) && (out.empty() || !IsWord(out.back()))) {
      const std::size_t end = OperatorSign(rest);
      out += rest.substr(0, end);
      at += end;
    } else if (rest.starts_with("(anonymous namespace)")) {
      out += "(anonymous namespace)";
      at += std::string_view("(anonymous namespace)").size();
    } else if (rest[0] == '<') {
      const std::size_t end = SkipGroup(function, at, '<', '>');
      // Rust writes "<Type as Trait>::method": there the group is the name.
      if (out.ends_with("::")) out.resize(out.size() - 2);  // "f::<u8>"
      if (out.empty()) out += rest.substr(0, end - at);
      at = end;
    } else if (rest[0] == '(') {
      at = SkipGroup(function, at, '(', ')');
      // "f(int)::{lambda()#1}::operator()() const": what follows "::" is still the name.
      if (!function.substr(at).starts_with("::")) {
        const std::size_t inner = function.substr(at).find("::");
        if (!function.substr(at).starts_with(" const::") || inner == std::string_view::npos) break;
        at += inner;
      }
    } else if (rest[0] == '[') {
      at = SkipGroup(function, at, '[', ']');
    } else if (rest[0] == '{') {
      const std::size_t end = SkipGroup(function, at, '{', '}');
      const std::string_view group = function.substr(at, end - at);
      out += group.substr(0, group.find_first_of("(#"));
      if (!out.ends_with('}')) out += '}';
      at = end;
    } else if (rest[0] == '.' && at > 0) {
      break;
    } else if (rest[0] == ' ') {
      if (!rest.starts_with(" <")) out.clear();  // what came was the return type; but "operator< <char>"
      ++at;
    } else {
      out += rest[0];
      ++at;
    }
  }
  // Legacy Rust names end in a hash of the build.
  constexpr std::size_t kHash = 19;  // "::h" and 16 digits
  if (out.size() > kHash && out.compare(out.size() - kHash, 3, "::h") == 0) out.resize(out.size() - kHash);
  return out.empty() ? std::string(function) : out;
}

}  // namespace obit
