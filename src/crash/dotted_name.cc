#include "crash/dotted_name.h"

#include <algorithm>
#include <span>
#include <vector>

#include <fmt/ranges.h>

#include "base/text.h"

namespace obit {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); }
bool IsNumber(std::string_view text) { return !text.empty() && std::ranges::all_of(text, IsDigit); }

/// `text` is `prefix` and a number.
bool IsNumbered(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) && IsNumber(text.substr(prefix.size()));
}

/// What compilers append to the name of a function of which they made another one: parts[at], and what
/// follows.
bool IsCloneSuffix(std::span<const std::string_view> parts, std::size_t at) {
  // Go has functions with such names: a number tells.
  constexpr std::string_view kNumbered[] = {"part", "isra",   "constprop", "clone",
                                            "llvm", "__uniq", "lto_priv",  "_omp_fn"};
  constexpr std::string_view kWhole[] = {"cold", "localalias", "ifunc", "resolver", "default", "avx",  "avx2",
                                         "fma",  "popcnt",     "bmi",   "bmi2",     "sse2",    "ssse3"};
  constexpr std::string_view kBeginnings[] = {"arch_", "avx512", "sse4", "x86-64-v"};
  const std::string_view part = parts[at];
  if (IsNumber(part) || std::ranges::find(kWhole, part) != std::end(kWhole)) return true;
  if (std::ranges::find(kNumbered, part) != std::end(kNumbered))
    return at + 1 < parts.size() && IsNumber(parts[at + 1]);
  return std::ranges::any_of(kBeginnings, [&](std::string_view one) { return part.starts_with(one); });
}

/// Go: "[go.shape.int]" and "[...]" are types of a generic function.
std::string WithoutBrackets(std::string_view text) {
  std::string out;
  int depth = 0;
  for (const char c : text) {
    if (c == '[') ++depth;
    if (depth == 0) out += c;
    if (c == ']' && depth > 0) --depth;
  }
  return out;
}

/// Go: functions without a name are numbered in the function that they are in.
std::string_view GoPart(std::string_view part) {
  for (const std::string_view kind : {"func", "gowrap", "deferwrap"})
    if (IsNumbered(part, kind)) return kind;
  if (part.ends_with("-fm")) part.remove_suffix(3);
  if (const std::size_t at = part.find("-range"); at != std::string_view::npos)
    if (IsNumber(part.substr(at + 6))) part = part.substr(0, at);
  return part;
}

/// "shop/cart.(*Cart).Pay.func1.2", "main.init.0".
std::string PlainGoName(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  const std::string_view folder = slash == std::string_view::npos ? "" : name.substr(0, slash + 1);
  std::vector<std::string_view> parts;
  for (const std::string_view whole : Split(name.substr(folder.size()), '.')) {
    const std::string_view part = GoPart(whole);
    const bool repeats = !parts.empty() && part == parts.back() && part == "func";
    const bool is_variant = part == "abi0" || part == "abiinternal";  // how it takes its arguments
    if (!IsNumber(part) && !part.empty() && !repeats && !is_variant) parts.push_back(part);
  }
  return fmt::format("{}{}", folder, fmt::join(parts, "."));
}

/// "camlShop__Cart__pay_123", since OCaml 5.1 "camlShop__Cart.pay_123": the number differs between builds.
std::string PlainOcamlName(std::string_view name) {
  std::string out;
  for (std::size_t at = 0; at < name.size();) {
    const bool two = name.substr(at).starts_with("__");
    out += two || name[at] == '$' ? '.' : name[at];
    at += two ? 2 : 1;
  }
  const std::size_t number = out.rfind('_');
  if (number != std::string::npos && IsNumber(std::string_view(out).substr(number + 1))) out.resize(number);
  return out;
}

bool IsOcaml(std::string_view name) {
  constexpr std::string_view kCaml = "caml";
  return name.starts_with(kCaml) && name.size() > kCaml.size() && name[4] >= 'A' && name[4] <= 'Z' &&
         (name.contains("__") || name.contains('.') || name.contains('$'));
}

/// Java: classes and methods that the runtime makes have numbers and addresses:
/// "Shop$$Lambda$14/0x80000c00.run", "Shop.lambda$pay$0". JNI appends the types of an overloaded method:
/// "Java_shop_Cart_pay__IJ".
std::string PlainJavaName(std::string name) {
  if (name.starts_with("Java_")) {
    if (const std::size_t types = name.find("__"); types != std::string::npos) name.resize(types);
    return name;
  }
  if (const std::size_t made = name.find("$$Lambda"); made != std::string::npos) {
    const std::size_t from = made + 8;
    std::size_t end = from;
    while (end < name.size() && (name[end] == '$' || name[end] == '/' || name[end] == 'x' ||
                                 name[end] == '+' || IsHexDigit(name[end])))
      ++end;
    name.erase(from, end - from);
  }
  if (const std::size_t at = name.rfind('$');
      name.contains("lambda$") && at != std::string::npos && IsNumber(std::string_view(name).substr(at + 1)))
    name.resize(at);
  return name;
}

/// "main_shop_pay_" and 40 hex digits or "$" and 16: a hash of what it was made from.
void DropHash(std::string& name) {
  constexpr std::size_t kShortest = 16;
  const std::size_t at = name.find_last_of("_$");
  if (at == std::string::npos || at == 0 || name.size() - at - 1 < kShortest) return;
  const std::string_view hash = std::string_view(name).substr(at + 1);
  if (std::ranges::all_of(hash, IsHexDigit) && std::ranges::any_of(hash, IsDigit)) name.resize(at);
}

}  // namespace

std::optional<std::string> PlainDottedName(std::string_view function) {
  // "pay@@SHOP_1.2", "pay@plt"
  if (const std::size_t version = function.find('@'); version != std::string_view::npos && version > 0)
    function = function.substr(0, version);
  const bool go_method = function.contains(".(*");
  const bool go_type = function.contains('.') && function.contains('[');
  std::string name = go_type ? WithoutBrackets(function) : std::string(function);
  const std::string_view other = go_method ? " :<{&" : " :<{&([";
  if (name.empty() || name.find_first_of(other) != std::string::npos) return std::nullopt;
  if (IsOcaml(name)) return PlainOcamlName(name);
  if (name.contains("$$Lambda") || name.contains("lambda$") || name.starts_with("Java_"))
    return PlainJavaName(std::move(name));
  // What follows the first suffix of a clone are more of them.
  const auto parts = Split(name, '.');
  std::size_t kept = 1;
  while (kept < parts.size() && !IsCloneSuffix(parts, kept)) ++kept;
  if (parts.front().empty()) kept = parts.size();  // ".omp_outlined.": there is no name before
  // "glob..func1" and "init.0" are Go's.
  const bool is_go =
      go_method || name.contains('/') || name.contains("..") || (kept > 1 && kept < parts.size());
  if (is_go || kept > 1) return PlainGoName(name);
  name = std::string(parts.front());
  DropHash(name);
  return name;
}

}  // namespace obit
