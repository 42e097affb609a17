#include "analyze/runtime_traces.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "analyze/demangle.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kMessageMax = 4096;
constexpr std::uint64_t kStackSearched = 256 * 1024;

// C library.

bool IsCLibrary(const Modules& modules, std::uint32_t index) {
  const std::string& path = modules.files(index).module.path;
  const std::string_view name = FileNameOf(path);
  return name.starts_with("libc.so") || name.starts_with("libc-2.");
}

// C++ exceptions. struct __cxa_exception (libstdc++-v3/libsupc++/unwind-cxx.h): the type comes first, the
// unwinder's header last, and behind that the thrown object.

constexpr std::uint64_t kTypeToHeader = 80, kHeaderBytes = 32;
constexpr std::uint64_t kGnuCpp = 0x474e5543432b2b00;           // "GNUCC++\0"
constexpr std::uint64_t kGnuCppDependent = 0x474e5543432b2b01;  // thrown again from a std::exception_ptr
constexpr int kBasesMax = 16;

std::optional<std::string> TypeName(CoreImage& image, std::uint64_t type) {
  const auto text = image.ReadWord(type + 8);
  auto name = text ? image.ReadText(*text, 2048) : std::nullopt;
  if (!name || name->empty()) return std::nullopt;
  if (name->front() == '*') name->erase(0, 1);
  return name;
}

std::string DemangleType(const std::string& name) {
  // The demangler takes whole symbols: "typeinfo name for T".
  constexpr std::string_view kPrefix = "typeinfo name for ";
  std::string text = Demangle("_ZTS" + name);
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  return text.starts_with("_ZTS") ? name : text;
}

/// Follows single inheritance (abi::__si_class_type_info: its base is the third word) up to a standard class
/// that keeps its text behind its vtable pointer.
bool KeepsText(CoreImage& image, std::uint64_t type, const std::string& name) {
  std::string current = name;
  for (int i = 0; i < kBasesMax; ++i) {
    if (current == "St13runtime_error" || current == "St11logic_error") return true;
    const auto base = image.ReadWord(type + 16);
    auto next = base ? TypeName(image, *base) : std::nullopt;
    if (!next) return false;
    type = *base;
    current = std::move(*next);
  }
  return false;
}

std::string ExceptionText(CoreImage& image, std::uint64_t object, std::uint64_t type,
                          const std::string& name) {
  if (name == "i" || name == "j") {
    const auto value = image.ReadWord(object);
    return value ? std::to_string(static_cast<std::int32_t>(*value)) : "";
  }
  std::optional<std::uint64_t> text;
  if (name == "PKc" || name == "Pc") text = image.ReadWord(object);
  if (name == "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE") text = image.ReadWord(object);
  if (KeepsText(image, type, name)) text = image.ReadWord(object + 8);
  return text ? image.ReadText(*text, kMessageMax).value_or("") : "";
}

std::optional<ThrownException> ExceptionAt(CoreImage& image, std::uint64_t header) {
  if (header % 16 != 0 || header < kTypeToHeader || image.ReadWord(header) != kGnuCpp) {
    if (header % 16 != 0 || image.ReadWord(header) != kGnuCppDependent) return std::nullopt;
  }
  const auto type = image.ReadWord(header - kTypeToHeader);
  const auto name = type ? TypeName(image, *type) : std::nullopt;
  if (!name) return std::nullopt;
  return ThrownException{DemangleType(*name), ExceptionText(image, header + kHeaderBytes, *type, *name)};
}

std::vector<std::uint64_t> StackWords(CoreImage& image, std::uint64_t from, std::uint64_t bytes) {
  std::vector<std::uint64_t> words(bytes / sizeof(std::uint64_t));
  words.resize(image.Read(from, std::as_writable_bytes(std::span(words))) / sizeof(std::uint64_t));
  return words;
}

// Rust panics.

/// Rust 1.81 and later put the whole text into a buffer on the stack before they write it to standard error:
/// "thread 'main' (4711) panicked at src/main.rs:5:9:\nMESSAGE\nnote: ...". The buffer's frame is gone, its
/// bytes may be there.
std::string FindPrintedPanic(CoreImage& image, const RawStack& raw) {
  if (raw.frames.empty()) return {};
  const std::uint64_t sp = raw.frames.front().sp;
  const CoreImage::Mapping* segment = image.Find(sp);
  if (segment == nullptr) return {};
  const std::uint64_t begin = std::max(segment->begin, sp - std::min(sp, kStackSearched));
  std::string memory(std::min(segment->end - begin, 2 * kStackSearched), '\0');
  memory.resize(image.Read(begin, std::as_writable_bytes(std::span(memory))));
  constexpr std::string_view kPanicked = " panicked at ";
  for (std::size_t at = 0; (at = memory.find(kPanicked, at)) != std::string::npos; ++at) {
    const std::size_t line_end = memory.find_first_of(std::string_view("\n\0", 2), at);
    if (line_end == std::string::npos || memory[line_end] != '\n' || memory[line_end - 1] != ':') continue;
    const std::size_t end = memory.find_first_of(std::string_view("\n\0", 2), line_end + 1);
    if (end == std::string::npos || end - line_end > kMessageMax) continue;
    return memory.substr(line_end + 1, end - line_end - 1);
  }
  return {};
}

bool IsPrintable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0 || first == 0x7f || (first < 0x20 && first != '\n' && first != '\t')) return false;
    text.remove_prefix(length);
  }
  return true;
}

/// What the panic handler got is a string, a pointer and a length, in its frame.
std::string FindPanicPayload(CoreImage& image, const RawStack& raw, const Stack& stack) {
  constexpr std::uint64_t kFrameMax = 4096;
  for (std::size_t i = 0; i + 1 < raw.frames.size(); ++i) {
    const bool handles = std::ranges::any_of(stack.frames, [&](const Frame& frame) {
      return frame.pc == raw.frames[i].pc && (frame.function.find("panic_handler") != std::string::npos ||
                                              frame.function.find("begin_panic") != std::string::npos);
    });
    if (!handles) continue;
    const std::uint64_t from = raw.frames[i].sp, to = raw.frames[i + 1].sp;
    const auto words = StackWords(image, from, std::min(to - std::min(from, to), kFrameMax));
    const auto text_at = [&](std::uint64_t address, std::uint64_t length) -> std::string {
      if (length == 0 || length > kMessageMax) return {};
      std::string text(length, '\0');
      const bool whole = image.Read(address, std::as_writable_bytes(std::span(text))) == text.size();
      return whole && IsPrintable(text) ? text : "";
    };
    for (std::size_t at = 0; at + 2 < words.size(); ++at) {
      // A literal is pointer and length. A String of older runtimes has its capacity between them.
      if (std::string text = text_at(words[at], words[at + 1]); !text.empty()) return text;
      if (words[at + 2] <= words[at + 1])
        if (std::string text = text_at(words[at], words[at + 2]); !text.empty()) return text;
    }
  }
  return {};
}

}  // namespace

std::string FindAbortMessage(CoreImage& image, Modules& modules) {
  // A program that is linked statically has it itself.
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < modules.count(); ++i)
    if (IsCLibrary(modules, i)) order.push_back(i);
  if (order.empty() && modules.count() > 0) order.push_back(0);
  for (const std::uint32_t index : order) {
    const auto symbol = modules.SymbolAddress(index, "__abort_msg");
    const auto message = symbol ? image.ReadWord(*symbol) : std::nullopt;
    if (!message || *message == 0) continue;
    // struct abort_msg_s (glibc, include/stdlib.h): its size, then the text.
    if (auto text = image.ReadText(*message + sizeof(std::uint32_t), kMessageMax))
      return std::string(Trim(*text));
  }
  return {};
}

std::optional<ThrownException> FindException(CoreImage& image, const RawStack& stack) {
  const auto look = [&](std::uint64_t word) -> std::optional<ThrownException> {
    if (word == 0 || word % 8 != 0) return std::nullopt;
    if (auto found = ExceptionAt(image, word)) return found;
    return word > kHeaderBytes ? ExceptionAt(image, word - kHeaderBytes) : std::nullopt;  // the object itself
  };
  for (const Registers& registers : stack.registers)
    for (unsigned number = 0; number < Registers::kCount; ++number)
      if (const auto value = registers.Get(number))
        if (auto found = look(*value)) return found;
  if (stack.frames.empty()) return std::nullopt;
  for (const std::uint64_t word : StackWords(image, stack.frames.front().sp, kStackSearched))
    if (auto found = look(word)) return found;
  return std::nullopt;
}

std::string FindPanicMessage(CoreImage& image, const RawStack& raw, const Stack& stack) {
  std::string text = FindPrintedPanic(image, raw);
  return text.empty() ? FindPanicPayload(image, raw, stack) : text;
}

}  // namespace obit
