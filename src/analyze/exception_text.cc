#include "analyze/exception_text.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "analyze/runtime_scene.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kTextMax = 4096, kNameMax = 2048;
constexpr int kBasesMax = 64, kDepthMax = 16;
constexpr std::uint64_t kObjectMax = 512;

/// A class among the bases of a thrown object.
struct Base {
  std::uint64_t type = 0, at = 0;  ///< its type_info; where it lies
  std::string name;
  int depth = 0;
};

/// All bases of an object, itself first: abi::__si_class_type_info has one, at the beginning; of
/// abi::__vmi_class_type_info there are flags, a count, and pairs of a type and where in the object it is.
/// The kind is told by what stands there: a pointer to a type, or two small numbers.
std::vector<Base> BasesOf(CoreImage& image, std::uint64_t object, std::uint64_t type) {
  std::vector<Base> bases;
  const auto add = [&](std::uint64_t base, std::uint64_t at, int depth) {
    auto name = ReadTypeName(image, base);
    if (name) bases.push_back({base, at, std::move(*name), depth});
    return name.has_value();
  };
  add(type, object, 0);
  for (std::size_t i = 0; i < bases.size() && bases.size() < kBasesMax; ++i) {
    const Base base = bases[i];
    // The standard's own classes are known; what stands behind the name of a class without bases is none.
    if (base.depth >= kDepthMax || base.name == "St9exception") continue;
    const auto third = image.ReadWord(base.type + 16);
    if (!third) continue;
    const std::uint64_t flags = *third & UINT32_MAX, count = *third >> 32;
    if (flags > 3 || count == 0 || count > kBasesMax) {
      add(*third, base.at, base.depth + 1);
      continue;
    }
    for (std::uint64_t n = 0; n < count; ++n) {
      const auto inner = image.ReadWord(base.type + 24 + 16 * n);
      const auto how = image.ReadWord(base.type + 32 + 16 * n);
      if (!inner || !how) break;
      auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(*how) >> 8);
      if ((*how & 1) != 0) {  // virtual: the offset is that of the offset, in the vtable
        const auto vtable = image.ReadWord(base.at);
        const auto real = vtable ? image.ReadWord(*vtable + offset) : std::nullopt;
        if (!real) continue;
        offset = *real;
      }
      add(*inner, base.at + offset, base.depth + 1);
    }
  }
  return bases;
}

std::string ReadableText(CoreImage& image, std::uint64_t address) {
  auto text = image.ReadText(address, kTextMax);
  return text && IsReadable(*text) ? std::move(*text) : std::string();
}

/// A text with its length: `bytes` of it and a NUL.
std::string SizedText(CoreImage& image, std::uint64_t address, std::uint64_t bytes) {
  if (bytes == 0 || bytes > kTextMax) return {};
  std::string text(bytes + 1, '\0');
  if (image.Read(address, std::as_writable_bytes(std::span(text))) != text.size() || text.back() != '\0')
    return {};
  text.pop_back();
  return !text.contains('\0') && IsReadable(text) ? text : std::string();
}

/// std::string of GCC's library: pointer, length, and 16 bytes that are the text, or begin with the capacity.
std::string GnuString(CoreImage& image, std::uint64_t at) {
  const auto text = image.ReadWord(at), size = image.ReadWord(at + 8), capacity = image.ReadWord(at + 16);
  if (!text || !size || !capacity) return {};
  const bool is_short = *text == at + 16;
  if (is_short ? *size > 15 : *size > *capacity || *capacity > UINT32_MAX) return {};
  return SizedText(image, *text, *size);
}

/// std::string of libc++: the lowest bit of the first byte says that it is long (capacity, size, pointer);
/// else that byte is twice the size, and the text follows.
std::string LlvmString(CoreImage& image, std::uint64_t at) {
  const auto first = image.ReadWord(at);
  if (!first) return {};
  if ((*first & 1) == 0) {
    const std::uint64_t size = (*first & 0xff) >> 1;
    return size <= 22 ? SizedText(image, at + 1, size) : std::string();
  }
  const auto size = image.ReadWord(at + 8), text = image.ReadWord(at + 16);
  if (!size || !text || *size > *first || *first > UINT32_MAX) return {};
  return SizedText(image, *text, *size);
}

std::string StringAt(CoreImage& image, std::uint64_t at, bool llvm) {
  return llvm ? LlvmString(image, at) : GnuString(image, at);
}

/// The first text that an object holds. A pointer to a literal counts as well.
ExceptionText FirstText(CoreImage& image, std::uint64_t object, bool llvm) {
  // malloc(3) of glibc keeps the size in front of what the exception, 128 bytes, was allocated with.
  std::uint64_t size = kObjectMax;
  constexpr std::uint64_t kBefore = 128;
  if (const auto chunk = object > kBefore + 8 ? image.ReadWord(object - kBefore - 8) : std::nullopt)
    if (const std::uint64_t bytes = *chunk & ~std::uint64_t{7}; bytes > kBefore && bytes < 65536)
      size = std::min(size, bytes - kBefore);
  for (std::uint64_t offset = 0; offset + 8 <= size; offset += 8) {
    const std::uint64_t at = object + offset;
    if (std::string text = StringAt(image, at, llvm); !text.empty()) return {std::move(text), true};
    const auto pointer = image.ReadWord(at);
    const CoreImage::Mapping* mapping = pointer ? image.Find(*pointer) : nullptr;
    if (mapping == nullptr || (mapping->flags & 3) != 0) continue;  // read only, and no code
    if (std::string text = ReadableText(image, *pointer); text.size() >= 4) return {std::move(text), true};
  }
  return {};
}

/// What a simple what() returns: a literal, a pointer in its object, or the text of a std::string in it. Each
/// of these is the code that compilers make of `return "..."`, `return text_`, `return text_.c_str()`.
std::optional<ExceptionText> TextByCode(CoreImage& image, std::uint64_t function, std::uint64_t object,
                                        bool llvm, int depth = 0) {
  std::array<std::uint8_t, 96> code{};
  const std::size_t got = image.Read(function, std::as_writable_bytes(std::span(code)));
  std::size_t at = 0;
  const auto next = [&](std::initializer_list<int> bytes) {  // -1: any byte
    if (got < at + bytes.size()) return false;
    std::size_t i = at;
    for (const int byte : bytes)
      if (const std::uint8_t is = code[i++]; byte >= 0 && is != byte) return false;
    at += bytes.size();
    return true;
  };
  const auto number = [&] {  // the 32 bits in front of `at`
    std::int32_t value = 0;
    std::memcpy(&value, code.data() + at - 4, sizeof value);
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  };
  const auto pointer_at = [&](std::uint64_t place) -> ExceptionText {
    const auto text = image.ReadWord(place);
    return {text ? ReadableText(image, *text) : ""};
  };
  next({0xf3, 0x0f, 0x1e, 0xfa});      // endbr64
  if (next({0x48, 0x83, 0xef, -1})) {  // sub $n,%rdi: where std::exception is not the first base
    object -= code[at - 1];
    if (code[at - 1] >= 0x80 || depth > 0) return std::nullopt;
    if (next({0xe9, -1, -1, -1, -1}))
      return TextByCode(image, function + at + number(), object, llvm, depth + 1);
    if (next({0xeb, -1}))
      return TextByCode(image,
                        function + at + static_cast<std::uint64_t>(static_cast<std::int8_t>(code[at - 1])),
                        object, llvm, depth + 1);
  }
  if (next({0xf6, 0x47, -1, 0x01})) {  // testb $1,n(%rdi): the string of libc++, inlined
    std::string text = code[at - 2] < 0x80 ? LlvmString(image, object + code[at - 2]) : "";
    return text.empty() ? std::nullopt : std::optional(ExceptionText{std::move(text)});
  }
  const bool keeps_frame = next({0x55, 0x48, 0x89, 0xe5});  // push %rbp; mov %rsp,%rbp
  if (keeps_frame) {
    next({0x48, 0x83, 0xec, -1});                                    // sub $n,%rsp
    if (next({0x48, 0x89, 0x7d, -1}))                                // mov %rdi,n(%rbp)
      next({0x48, 0x8b, 0x45, -1}) || next({0x48, 0x8b, 0x7d, -1});  // mov n(%rbp),%rax
  }
  if (next({0x48, 0x8d, 0x05, -1, -1, -1, -1}))  // lea n(%rip),%rax
    return ExceptionText{ReadableText(image, function + at + number())};
  if (next({0xb8, -1, -1, -1, -1})) return ExceptionText{ReadableText(image, number() & UINT32_MAX)};
  std::optional<std::uint64_t> offset;
  if (next({0x48, 0x8b, 0x47, -1}) || next({0x48, 0x8b, 0x40, -1})) {  // mov n(%rdi),%rax
    offset = code[at - 1];
    // A std::string of GCC's library begins with its pointer: the same code.
    if (*offset < 0x80 && (next({0xc3}) || next({0x5d, 0xc3}) || next({0xc9, 0xc3})))
      return pointer_at(object + *offset);
    return std::nullopt;
  }
  if (next({0x48, 0x83, 0xc0, -1}) || next({0x48, 0x83, 0xc7, -1}) ||
      next({0x48, 0x8d, 0x47, -1}))  // add $n,%rax
    offset = code[at - 1];
  if (!offset || *offset >= 0x80) return std::nullopt;
  next({0x48, 0x89, 0xc7});  // mov %rax,%rdi
  if (!next({0xe8, -1, -1, -1, -1})) return std::nullopt;
  std::string text = StringAt(image, object + *offset, llvm);
  if (text.empty()) return std::nullopt;
  return ExceptionText{std::move(text)};
}

bool KeepsText(const Base& base) {
  return base.name == "St13runtime_error" || base.name == "St11logic_error";
}

}  // namespace

std::optional<std::string> ReadTypeName(CoreImage& image, std::uint64_t type) {
  const auto text = image.ReadWord(type + 8);
  auto name = text ? image.ReadText(*text, kNameMax) : std::nullopt;
  if (!name || name->empty()) return std::nullopt;
  if (name->front() == '*') name->erase(0, 1);
  const bool is_name = std::ranges::all_of(*name, [](char c) {
    return c == '_' || c == '.' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  });
  return is_name && !name->empty() ? name : std::nullopt;
}

ExceptionText FindExceptionText(CoreImage& image, std::uint64_t object, std::uint64_t type, bool llvm) {
  const std::string name = ReadTypeName(image, type).value_or("");
  const auto word = image.ReadWord(object);
  if (!word) return {};
  if (name == "i") return {std::to_string(static_cast<std::int32_t>(*word))};
  if (name == "j") return {std::to_string(static_cast<std::uint32_t>(*word))};
  if (name == "l" || name == "x") return {std::to_string(static_cast<std::int64_t>(*word))};
  if (name == "m" || name == "y") return {std::to_string(*word)};
  if (name == "PKc" || name == "Pc") return {ReadableText(image, *word)};
  if (name == "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE") return {GnuString(image, object)};
  if (name == "NSt3__112basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEEE")
    return {LlvmString(image, object)};
  const std::vector<Base> bases = BasesOf(image, object, type);
  // The function that what() is: the third of std::exception's, wherever that lies in the object.
  const auto standard = std::ranges::find(bases, "St9exception", &Base::name);
  const auto keeper = std::ranges::find_if(bases, KeepsText);
  std::string kept;
  if (keeper != bases.end())
    if (const auto text = image.ReadWord(keeper->at + 8)) kept = ReadableText(image, *text);
  if (standard == bases.end() && keeper == bases.end()) return FirstText(image, object, llvm);
  const bool is_own = !name.starts_with("St") && !name.starts_with("NSt");
  const std::uint64_t at = keeper != bases.end() ? keeper->at : standard->at;
  const auto vtable = image.ReadWord(at);
  const auto function = vtable ? image.ReadWord(*vtable + 16) : std::nullopt;
  if (function && image.IsExecutable(*function) && is_own)
    if (auto text = TextByCode(image, *function, at, llvm); text && !text->text.empty()) return *text;
  if (!kept.empty()) return {std::move(kept), is_own};
  if (!is_own) return {};
  return FirstText(image, object, llvm);
}

}  // namespace obit
