// What a function that takes a printf(3) format and arguments was told, where the text that it made is gone:
// the arguments are still there. Such a function saves its argument registers on its stack, and the va_list
// that it makes points to them (System V ABI, AMD64 supplement, 3.5.7).

#include <algorithm>
#include <cstdint>

#include "analyze/runtime_scene.h"

namespace obit {
namespace {

constexpr std::size_t kRegisters = 6;
constexpr std::uint64_t kRegisterBytes = 48;  // fp_offset, before any is taken
constexpr std::size_t kOnStackMax = 16;

/// The arguments behind the `named` first ones, as words.
std::vector<std::uint64_t> VariadicArguments(RuntimeScene& scene, std::size_t frame, std::size_t named) {
  const RuntimeScene::Range range = scene.StackOf(frame);
  const std::vector<std::uint64_t> words = scene.Words(range);
  for (std::size_t i = 0; i + 2 < words.size(); ++i) {
    // gp_offset, fp_offset; overflow_arg_area; reg_save_area
    const std::uint64_t general = words[i] & UINT32_MAX, saved = words[i + 2];
    if (words[i] >> 32 != kRegisterBytes || general > kRegisterBytes || general % 8 != 0) continue;
    if (saved < range.begin || saved > range.end - kRegisterBytes || words[i + 1] < range.end) continue;
    std::vector<std::uint64_t> out = scene.Words({saved + 8 * named, saved + kRegisterBytes});
    if (out.size() != kRegisters - named) return {};
    const auto more = scene.Words({range.end, range.end + 8 * kOnStackMax});
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  return {};
}

/// One conversion, without its '%': flags, width, precision and length are taken, but no '*'.
bool Append(RuntimeScene& scene, std::string_view conversion, std::uint64_t value, std::string& out) {
  const char kind = conversion.back();
  if (conversion.find_first_of("*.$'") != std::string_view::npos) return false;
  const bool is_long = conversion.find_first_of("ljzt") != std::string_view::npos;
  const auto whole = static_cast<std::int64_t>(is_long ? value : 0);
  switch (kind) {
    case 's': {
      const auto text = scene.image().ReadText(value, 1024);
      if (!text || !IsReadable(*text)) return false;
      out += *text;
      return true;
    }
    case 'd':
    case 'i':
      out += is_long ? std::to_string(whole) : std::to_string(static_cast<std::int32_t>(value));
      return true;
    case 'u':
      out += std::to_string(is_long ? value : value & UINT32_MAX);
      return true;
    case 'x':
      out += fmt::format("{:x}", is_long ? value : value & UINT32_MAX);
      return true;
    case 'p':
      out += fmt::format("{:#x}", value);
      return true;
    case 'c':
      if (value < 0x20 || value > 0x7e) return false;
      out += static_cast<char>(value);
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string RuntimeScene::FormattedByArguments(const std::string& format, std::size_t frame,
                                               std::size_t named) {
  const std::vector<std::uint64_t> arguments = VariadicArguments(*this, frame, named);
  std::string out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out += format[at];
      continue;
    }
    const std::size_t end = format.find_first_of("diouxXeEfFgGaAcspnm%", at + 1);
    if (end == std::string::npos) return {};
    if (end == at + 1 && format[end] == '%') {
      out += '%';
    } else {
      const std::string_view conversion = std::string_view(format).substr(at + 1, end - at);
      if (next >= arguments.size() || !Append(*this, conversion, arguments[next++], out)) return {};
    }
    at = end;
  }
  return out.size() <= kTextMax ? out : "";
}

}  // namespace obit
