#include "analyze/exceptions.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "analyze/demangle.h"
#include "analyze/exception_text.h"

namespace obit {
namespace {

// struct __cxa_exception: the type comes first (LLVM has two words in front of that), the unwinder's header
// last, and behind that the thrown object. The header begins with a word that names vendor and language.
constexpr std::uint64_t kTypeToHeader = 80, kHeaderBytes = 32;
constexpr std::uint64_t kGnu = 0x474e5543432b2b00;   // "GNUCC++\0"
constexpr std::uint64_t kLlvm = 0x434c4e47432b2b00;  // "CLNGC++\0"
/// Set in the lowest byte: struct __cxa_dependent_exception, made by std::rethrow_exception. It points to the
/// object that was thrown first: GCC where the type would be, LLVM a word before that.
constexpr std::uint64_t kDependent = 1;

struct Header {
  std::uint64_t at = 0;
  bool llvm = false;
};

std::optional<Header> HeaderAt(CoreImage& image, std::uint64_t at) {
  if (at % 16 != 0 || at <= kTypeToHeader + 8) return std::nullopt;
  const auto word = image.ReadWord(at);
  if (!word) return std::nullopt;
  const std::uint64_t language = *word & ~std::uint64_t{0xff}, kind = *word & 0xff;
  if ((language != kGnu && language != kLlvm) || kind > kDependent) return std::nullopt;
  const Header found{at, language == kLlvm};
  if (kind != kDependent) return found;
  const auto object = image.ReadWord(at - kTypeToHeader - (found.llvm ? 8 : 0));
  if (!object || *object % 16 != 0 || *object <= kHeaderBytes + kTypeToHeader + 8) return std::nullopt;
  const std::uint64_t primary = *object - kHeaderBytes;
  if (image.ReadWord(primary) != language) return std::nullopt;
  return Header{primary, found.llvm};
}

std::string DemangleType(const std::string& name) {
  // The demangler takes whole symbols: "typeinfo name for T".
  constexpr std::string_view kPrefix = "typeinfo name for ";
  std::string text = Demangle("_ZTS" + name);
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  // As people write it: without the inline namespaces of the libraries.
  for (const std::string_view inner : {"::__cxx11::", "::__1::"})
    for (std::size_t at = 0; (at = text.find(inner, at)) != std::string::npos; ++at)
      text.erase(at, inner.size() - 2);
  if (text == "std::basic_string<char, std::char_traits<char>, std::allocator<char> >") return "std::string";
  return text.starts_with("_ZTS") ? name : text;
}

std::optional<ThrownException> ExceptionAt(CoreImage& image, std::uint64_t at) {
  const auto header = HeaderAt(image, at);
  if (!header) return std::nullopt;
  const auto type = image.ReadWord(header->at - kTypeToHeader);
  const auto name = type ? ReadTypeName(image, *type) : std::nullopt;
  if (!name) return std::nullopt;
  ThrownException found{.type = DemangleType(*name)};
  ExceptionText text = FindExceptionText(image, header->at + kHeaderBytes, *type, header->llvm);
  found.text = std::move(text.text);
  found.text_guess = text.guess;
  return found;
}

}  // namespace

std::optional<ThrownException> FindException(CoreImage& image, std::span<const std::uint64_t> words) {
  for (const std::uint64_t word : words) {
    if (word % 8 != 0) continue;
    if (auto found = ExceptionAt(image, word)) return found;
    if (word <= kHeaderBytes) continue;
    if (auto found = ExceptionAt(image, word - kHeaderBytes)) return found;
  }
  return std::nullopt;
}

namespace {

/// The code of __cxa_get_globals, as compilers and linkers make it: the address of a thread's variable.
class AddressCode {
 public:
  AddressCode(CoreImage& image, std::uint64_t function, std::uint64_t fs_base)
      : image_(image), function_(function), fs_base_(fs_base) {
    image.Read(function, std::as_writable_bytes(std::span(code_)));
  }

  std::optional<std::uint64_t> Find() {
    while (Next({0xf3, 0x0f, 0x1e, 0xfa}) || Next({0x48, 0x83, 0xec, 0x08}) ||
           Next({0x50})) {  // endbr64, sub, push
    }
    std::uint64_t address = 0;
    while (Next({0x66})) {
    }
    if (Next({0x48, 0x8d,
              0x3d})) {  // lea n(%rip),%rdi; call __tls_get_addr: a number of a module, and an offset
      const auto base = OfModule(Relative());
      if (!base) return std::nullopt;
      address = *base;
      while (Next({0x66})) {
      }
      if (!(Next({0x48, 0xe8}) || Next({0xe8}) || Next({0xff, 0x15}))) return std::nullopt;
      Number();
    } else if (Next({0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0})) {  // mov %fs:0,%rax
      address = fs_base_;
    } else {
      return std::nullopt;
    }
    while (!Next({0xc3})) {
      if (Next({0x48, 0x83, 0xc4, 0x08}) || Next({0x59}) || Next({0x5a})) continue;
      if (Next({0x48, 0x05}) || Next({0x48, 0x8d, 0x80})) {  // add $n,%rax; lea n(%rax),%rax
        address += Number();
      } else if (Next({0x48, 0x03, 0x05})) {  // add n(%rip),%rax
        const auto offset = image_.ReadWord(Relative());
        if (!offset) return std::nullopt;
        address += *offset;
      } else {
        return std::nullopt;
      }
    }
    return address;
  }

 private:
  bool Next(std::initializer_list<std::uint8_t> bytes) {
    if (at_ + bytes.size() > code_.size() ||
        !std::ranges::equal(std::span(code_).subspan(at_, bytes.size()), bytes))
      return false;
    at_ += bytes.size();
    return true;
  }
  std::uint64_t Number() {
    std::int32_t value = 0;
    if (at_ + sizeof value <= code_.size()) std::memcpy(&value, code_.data() + at_, sizeof value);
    at_ += sizeof value;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  }
  /// An address relative to the next instruction, which begins behind it.
  std::uint64_t Relative() {
    const std::uint64_t distance = Number();
    return function_ + at_ + distance;
  }
  /// By tls_index and the dtv of glibc, which tcbhead_t points to.
  std::optional<std::uint64_t> OfModule(std::uint64_t index) {
    const auto module = image_.ReadWord(index), offset = image_.ReadWord(index + 8);
    const auto vector = image_.ReadWord(fs_base_ + 8);
    if (!module || !offset || !vector || *module == 0 || *module > 4096) return std::nullopt;
    const auto memory = image_.ReadWord(*vector + 16 * *module);
    if (!memory || *memory == UINT64_MAX) return std::nullopt;
    return *memory + *offset;
  }

  CoreImage& image_;
  std::uint64_t function_, fs_base_;
  std::array<std::uint8_t, 64> code_{};
  std::size_t at_ = 0;
};

}  // namespace

std::optional<ExceptionGlobals> FindExceptionGlobals(CoreImage& image, std::uint64_t function,
                                                     std::uint64_t fs_base) {
  const auto globals = AddressCode(image, function, fs_base).Find();
  if (!globals) return std::nullopt;
  const auto caught = image.ReadWord(*globals), uncaught = image.ReadWord(*globals + 8);
  if (!caught || !uncaught) return std::nullopt;
  ExceptionGlobals found{.uncaught = static_cast<std::uint32_t>(*uncaught)};
  if (*caught == 0) return found;
  for (const std::uint64_t before : {kTypeToHeader, kTypeToHeader + 16})  // of GCC, of LLVM
    if (HeaderAt(image, *caught + before)) found.caught = *caught + before;
  return found.caught != 0 ? std::optional(found) : std::nullopt;
}

}  // namespace obit
