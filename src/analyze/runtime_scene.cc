#include "analyze/runtime_scene.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <elf.h>

#include "analyze/calls.h"
#include "base/text.h"
#include "crash/plain_name.h"

namespace obit {
namespace {

constexpr std::uint64_t kCodeWindow = 96, kFrameSearched = 512;  // bytes

bool IsText(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 ? byte != 0x7f : c == '\t';
}

}  // namespace

RuntimeScene::RuntimeScene(CrashScene& scene) : scene_(scene) {
  std::size_t raw = 0;
  for (const Frame& frame : scene.stack.frames) {
    if (frame.interrupted || raw >= scene.raw.frames.size() || scene.raw.frames[raw].pc != frame.pc) break;
    names_.push_back(PlainName(frame.function));
    raw_.push_back(raw);
    if (!frame.inlined) ++raw;
  }
}

bool RuntimeScene::IsOneOf(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view one) {
    return one.ends_with('*') ? name.starts_with(one.substr(0, one.size() - 1)) : name == one;
  });
}

std::optional<std::size_t> RuntimeScene::Find(std::initializer_list<std::string_view> names,
                                              std::size_t from) const {
  for (std::size_t i = from; i < names_.size(); ++i)
    if (IsOneOf(names_[i], names)) return i;
  return std::nullopt;
}

std::string_view RuntimeScene::ModuleName(std::size_t frame) const {
  const auto& module = scene_.stack.frames[frame].module;
  return module ? FileNameOf(scene_.modules.files(*module).module.path) : std::string_view();
}

std::optional<std::size_t> RuntimeScene::RawCaller(std::size_t frame) const {
  const std::size_t caller = raw_[frame] + 1;
  return caller < scene_.raw.frames.size() ? std::optional(caller) : std::nullopt;
}

std::optional<Registers> RuntimeScene::DirectCaller(std::size_t frame) {
  const Frame& called = scene_.stack.frames[frame];
  if (!called.offset || called.inlined) return std::nullopt;
  const std::uint64_t function = called.pc - *called.offset, sp = scene_.raw.frames[raw_[frame]].sp;
  const std::vector<std::uint64_t> words = Words({sp, sp + kFrameSearched});
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (TargetOfCallBefore(image(), words[i]) != function) continue;
    Registers caller(image().arch());
    caller.SetPc(words[i]);
    caller.SetSp(sp + 8 * (i + 1));
    return caller;
  }
  return std::nullopt;
}

CallArguments RuntimeScene::Arguments(std::size_t frame) {
  if (image().arch().machine != EM_X86_64) return {};  // FindCallArguments knows no other code
  const auto is_known = [](const CallArguments& arguments) {
    return std::ranges::any_of(arguments, [](const auto& one) { return one.has_value(); });
  };
  // After a few instructions of a window, wrong ones fall in step.
  const auto by_window = [&](const Registers& caller, std::uint64_t most) -> CallArguments {
    for (std::uint64_t more = 0; more < 16; ++more) {
      const std::uint64_t window = kCodeWindow - more;
      if (caller.pc() < window || most < window) continue;
      const CallArguments found = FindCallArguments(scene_.image, caller.pc() - window, caller);
      if (is_known(found)) return found;
    }
    return {};
  };
  const auto raw = RawCaller(frame);
  if (!raw || scene_.raw.frames[*raw].origin == FrameOrigin::kScan) {
    const auto caller = DirectCaller(frame);
    return caller ? by_window(*caller, UINT64_MAX) : CallArguments();
  }
  if (*raw >= scene_.raw.registers.size()) return {};
  const Registers& caller = scene_.raw.registers[*raw];
  std::optional<std::uint64_t> offset;
  for (std::size_t i = frame; i < raw_.size() && raw_[i] <= *raw; ++i)
    if (raw_[i] == *raw && scene_.stack.frames[i].offset) offset = scene_.stack.frames[i].offset;
  if (offset) {
    const CallArguments found = FindCallArguments(scene_.image, caller.pc() - *offset, caller);
    if (is_known(found)) return found;
  }
  return by_window(caller, offset.value_or(UINT64_MAX));
}

std::string RuntimeScene::ArgumentText(std::size_t frame, std::size_t number) {
  const auto address = Arguments(frame)[number];
  return address ? Text(*address) : "";
}

RuntimeScene::Range RuntimeScene::StackTo(std::size_t frame) const {
  const std::uint64_t begin = scene_.raw.frames.front().sp;
  const std::uint64_t end = StackOf(frame).end;
  return {begin, std::clamp(end, begin, begin + std::min(kStackMax, UINT64_MAX - begin))};
}

RuntimeScene::Range RuntimeScene::StackOf(std::size_t frame) const {
  const std::uint64_t begin = scene_.raw.frames[raw_[frame]].sp;
  const auto caller = RawCaller(frame);
  const std::uint64_t most = begin + std::min(kStackMax, UINT64_MAX - begin);
  const std::uint64_t end =
      caller ? scene_.raw.frames[*caller].sp : begin + std::min<std::uint64_t>(4096, most - begin);
  return {begin, std::clamp(end, begin, most)};
}

RuntimeScene::Range RuntimeScene::StackLeft(std::uint64_t bytes) const {
  const std::uint64_t sp = scene_.raw.frames.empty() ? 0 : scene_.raw.frames.front().sp;
  const CoreImage::Mapping* mapping = scene_.image.Find(sp);
  if (mapping == nullptr) return {};
  return {std::max(mapping->begin, sp - std::min({sp, bytes, kStackMax})), sp};
}

bool RuntimeScene::Spend(std::uint64_t bytes) {
  if (bytes > left_) left_ = 0;
  left_ -= std::min(bytes, left_);
  return left_ > 0;
}

std::vector<std::uint64_t> RuntimeScene::Words(Range range) {
  if (range.begin > UINT64_MAX - 7) return {};
  const std::uint64_t begin = (range.begin + 7) & ~std::uint64_t{7};
  if (begin >= range.end || !Spend(range.end - begin)) return {};
  std::vector<std::uint64_t> words((range.end - begin) / sizeof(std::uint64_t));
  words.resize(image().Read(begin, std::as_writable_bytes(std::span(words))) / sizeof(std::uint64_t));
  return words;
}

std::string RuntimeScene::Bytes(Range range) {
  if (range.begin >= range.end || !Spend(range.end - range.begin)) return {};
  std::string bytes(range.end - range.begin, '\0');
  bytes.resize(image().Read(range.begin, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

std::vector<std::uint64_t> RuntimeScene::WordsOf(std::size_t frame) {
  std::vector<std::uint64_t> words;
  const std::size_t raw = raw_[frame];
  if (raw < scene_.raw.registers.size())
    for (unsigned number = 0; number < image().arch().dwarf_pc; ++number)
      if (const auto value = scene_.raw.registers[raw].Get(number)) words.push_back(*value);
  const std::vector<std::uint64_t> stack = Words(StackOf(frame));
  words.insert(words.end(), stack.begin(), stack.end());
  return words;
}

std::vector<std::uint64_t> RuntimeScene::WordsTo(std::size_t frame) {
  std::vector<std::uint64_t> words;
  for (std::size_t i = 0; i <= frame && words.size() < kStackMax / sizeof(std::uint64_t); ++i) {
    if (i > 0 && raw_[i] == raw_[i - 1]) continue;
    const std::vector<std::uint64_t> more = WordsOf(i);
    words.insert(words.end(), more.begin(), more.end());
  }
  return words;
}

std::string RuntimeScene::Text(std::uint64_t address, std::size_t max) {
  constexpr std::uint64_t kLook = 512;  // that it costs where there is none
  if (!Spend(kLook)) return {};
  auto text = image().ReadText(address, max);
  if (text && !Spend(text->size())) return {};
  return text && IsReadable(*text) ? std::move(*text) : std::string();
}

namespace {

constexpr std::size_t kLiteralMin = 4;

std::size_t LiteralBytes(std::string_view format) {
  std::size_t bytes = 0;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      ++bytes;
      continue;
    }
    at = std::min(format.find_first_of("diouxXeEfFgGaAcspnm%", at + 1), format.size());
  }
  return bytes;
}

}  // namespace

std::string RuntimeScene::Formatted(const std::string& format, Range range,
                                    const std::vector<std::uint64_t>& words) {
  if (format.find('%') == std::string::npos) return format;
  if (LiteralBytes(format) < kLiteralMin) return {};  // any text would fit
  for (const std::uint64_t word : words) {
    if (!IsWritable(word)) continue;
    if (std::string text = Text(word); !text.empty() && FitsFormat(format, text)) return text;
  }
  const std::string bytes = Bytes(range);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\0', at), bytes.size());
    const std::string_view text = std::string_view(bytes).substr(at, end - at);
    if (end < bytes.size() && !text.empty() && text.size() <= kTextMax && IsReadable(text) &&
        FitsFormat(format, text))
      return std::string(text);
    at = end + 1;
  }
  return {};
}

bool RuntimeScene::IsWritable(std::uint64_t address) {
  const CoreImage::Mapping* mapping = image().Find(address);
  return mapping != nullptr && (mapping->flags & PF_W) != 0;
}

std::optional<std::uint64_t> RuntimeScene::Symbol(std::string_view module_prefix, std::string_view symbol) {
  for (std::uint32_t i = 0; i < scene_.modules.count(); ++i) {
    if (!FileNameOf(scene_.modules.files(i).module.path).starts_with(module_prefix)) continue;
    if (const auto found = scene_.modules.FindSymbol(i, symbol)) return found->address;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> RuntimeScene::ProgramSymbol(std::string_view symbol) {
  const auto found =
      scene_.modules.count() > 0 ? scene_.modules.FindSymbol(0, symbol) : std::optional<Modules::Symbol>();
  return found ? std::optional(found->address) : std::nullopt;
}

Cause RuntimeScene::Make(CauseKind kind, std::string_view runtime, std::string_view message) {
  Cause cause{.kind = kind};
  cause.message = std::string(Trim(message));
  cause.runtime = runtime;
  cause.function = OwnFunction(scene_);
  return cause;
}

bool IsReadable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    if (length == 0 || (!IsText(text.front()) && text.front() != '\n' && text.front() != '\r')) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string FirstLineOf(std::string_view text) { return std::string(Trim(text.substr(0, text.find('\n')))); }

std::string Between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  const std::size_t from = at + before.size();
  const std::size_t end = text.find(after, from);
  return end == std::string_view::npos ? std::string() : std::string(text.substr(from, end - from));
}

std::string LineWith(std::string_view bytes, std::string_view mark) {
  for (std::size_t at = 0; (at = bytes.find(mark, at)) != std::string_view::npos; ++at) {
    std::size_t begin = at, end = at + mark.size();
    const auto fits = [&] { return end - begin <= RuntimeScene::kTextMax; };
    while (begin > 0 && fits() && IsText(bytes[begin - 1])) --begin;
    while (end < bytes.size() && fits() && IsText(bytes[end])) ++end;
    if (end == bytes.size() || end - begin > RuntimeScene::kTextMax) continue;  // it may go on
    const std::string_view line = bytes.substr(begin, end - begin);
    if (IsReadable(line)) return std::string(line);
  }
  return {};
}

bool FitsFormat(std::string_view format, std::string_view text) {
  bool open = false;  // a conversion came before
  while (!format.empty()) {
    const std::size_t percent = std::min(format.find('%'), format.size());
    const std::string_view literal = format.substr(0, percent);
    const bool is_last = percent == format.size();
    const std::size_t at = is_last && open ? text.rfind(literal) : text.find(literal);
    if (at == std::string_view::npos || (!open && at != 0)) return false;
    if (is_last) return at + literal.size() == text.size();
    text.remove_prefix(at + literal.size());
    const std::size_t end = format.find_first_of("diouxXeEfFgGaAcspnm%", percent + 1);
    if (end == std::string_view::npos) return false;
    format.remove_prefix(end + 1);
    open = true;
  }
  return open || text.empty();
}

}  // namespace obit
