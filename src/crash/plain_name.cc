#include "crash/plain_name.h"

#include <algorithm>
#include <vector>

#include <fmt/ranges.h>

#include "crash/dotted_name.h"

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

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsWord(char c) { return c == '_' || IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// "{closure#0}" to "{closure}", wherever it stands.
std::string WithoutNumbers(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '#') {
      for (++at; at < text.size() && IsDigit(text[at]);) ++at;
      continue;
    }
    out += text[at++];
  }
  return out;
}

/// A namespace by which a library tells its versions apart, or the names of a lambda.
std::string_view Renamed(std::string_view part, std::string_view before) {
  const auto numbered = [&](std::string_view prefix) {
    return part.size() > prefix.size() && part.starts_with(prefix) &&
           std::ranges::all_of(part.substr(prefix.size()), IsDigit);
  };
  if (part == "__cxx11" || part == "_V2" || numbered("__") || numbered("__ndk") || numbered("lts_"))
    return "";
  if ((before == "fmt" || before == "spdlog") && numbered("v")) return "";
  if (numbered("icu_")) return "icu";
  if (numbered("$_") || part == "'lambda'" || part == "<lambda>") return "{lambda}";
  return part;
}

/// Part by part of "a::b::c".
std::string WithoutVersions(std::string_view name) {
  if (!name.contains("::") && !name.contains("$_")) return std::string(name);
  std::vector<std::string_view> parts;
  int depth = 0;  // in "<Type as Trait>"
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= name.size(); ++at) {
    if (at < name.size() && name[at] == '<') ++depth;
    if (at < name.size() && name[at] == '>') --depth;
    if (at < name.size() && (depth > 0 || !name.substr(at).starts_with("::"))) continue;
    const std::string_view part =
        Renamed(name.substr(begin, at - begin), parts.empty() ? std::string_view() : parts.back());
    if (!part.empty()) parts.push_back(part);
    begin = at + 2;
    ++at;
  }
  // A lambda is one function, whatever the compiler calls it.
  if (parts.size() > 1 && parts.back() == "operator()" && parts[parts.size() - 2] == "{lambda}")
    parts.pop_back();
  return fmt::format("{}", fmt::join(parts, "::"));
}

}  // namespace

std::string PlainName(std::string_view function) {
  if (auto dotted = PlainDottedName(function)) return *dotted;
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
    } else if (rest.starts_with("<lambda")) {  // as the debug information of g++ has it: "<lambda()>"
      out += "{lambda}";
      at = SkipGroup(function, at, '<', '>');
    } else if (rest.starts_with("'lambda")) {  // as LLVM's demangler does: "'lambda0'(int)"
      out += "{lambda}";
      at = std::min(function.find('\'', at + 1), function.size() - 1) + 1;
    } else if (rest[0] == '<') {
      const std::size_t end = SkipGroup(function, at, '<', '>');
      // Rust writes "<Type as Trait>::method": there the group is the name.
      if (out.ends_with("::")) out.resize(out.size() - 2);  // "f::<u8>"
      if (out.empty()) out += WithoutNumbers(rest.substr(0, end - at));
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
      out += group.substr(0, group.find_first_of("(#:"));
      if (!out.ends_with('}')) out += '}';
      at = end;
    } else if ((rest[0] == '.' || rest[0] == '@') && at > 0) {
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
  out = WithoutVersions(out);
  return out.empty() ? std::string(function) : out;
}

std::string LambdaInside(std::string_view function) {
  std::size_t at = std::string_view::npos;
  for (const std::string_view kind : {"::{lambda(", "::$_", "::'lambda"})
    at = std::min(at, function.find(kind));
  if (at == std::string_view::npos) return {};
  // Back to where the name of the function begins that it was written in.
  std::size_t begin = at;
  for (int depth = 0; begin > 0; --begin) {
    const char c = function[begin - 1];
    if (c == ')' || c == '>' || c == '}') ++depth;
    if (c == '(' || c == '<' || c == '{') --depth;
    if (depth < 0 || (depth == 0 && (c == ',' || c == ' '))) break;
  }
  const std::string outer = PlainName(function.substr(begin, at - begin));
  return outer.empty() || outer.starts_with("std::") ? "" : outer + "::{lambda}";
}

}  // namespace obit
