#include "capture/file_kind.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>

#include <elf.h>

namespace obit {
namespace {

struct Magic {
  std::size_t at;
  std::string_view bytes;
  const char* what;
};
using namespace std::string_view_literals;
constexpr Magic kMagics[] = {
    {257, "ustar"sv, "it is a tar archive: unpack it, and import the core that is in it"},
    {0, "PK\3\4"sv, "it is a zip archive: unpack it, and import the core that is in it"},
    {0, "7z\xbc\xaf\x27\x1c"sv, "it is a 7z archive: unpack it, and import the core that is in it"},
    {0, "!<arch>\n"sv, "it is an ar archive (a library, or a Debian package), not a core"},
    {0, "BZh"sv, "it is compressed by bzip2, which obit does not unpack: bunzip2 does"},
    {0, "\x5d\0\0"sv, "it is compressed by lzma, which obit does not unpack: unlzma does"},
    {0, "\x1f\x9d"sv, "it is compressed by compress, which obit does not unpack: uncompress does"},
    {0, "MDMP"sv, "it is a minidump, not a core"},
    {0, "LPKSHHRH"sv, "it is a journal of systemd, not a core: coredumpctl dump gives the core"},
    {0, "SQLite format 3\0"sv, "it is a database, not a core"},
    {0, "MZ"sv, "it is a program of Windows, not a core"},
};

bool IsText(std::string_view begin) {
  return std::ranges::none_of(begin, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t' && c != '\r' && c != '\f' && c != '\x1b') || byte == 0x7f;
  });
}

std::optional<int> TypeOfElf(std::string_view begin) {
  constexpr std::size_t kAt = offsetof(Elf64_Ehdr, e_type);  // the same in both classes
  static_assert(kAt == offsetof(Elf32_Ehdr, e_type));
  if (begin.size() < kAt + sizeof(Elf64_Half) || !begin.starts_with(std::string_view(ELFMAG, SELFMAG)))
    return std::nullopt;
  Elf64_Half type = 0;
  std::memcpy(&type, begin.data() + kAt, sizeof type);
  return type;
}

std::string DescribeElf(std::string_view begin) {
  const auto type = TypeOfElf(begin);
  if (!type) return "it ends within its ELF header: nothing of a core is in it";
  if (begin[EI_DATA] != (std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB))
    return "it is an ELF file of a machine with another byte order";
  switch (*type) {
    case ET_EXEC:
      return "it is a program, not a core";
    case ET_DYN:
      return "it is a program or a shared library, not a core";
    case ET_REL:
      return "it is an object file, not a core";
    default:
      return "it is an ELF file, but not a core";
  }
}

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kKindBytes)};
}

}  // namespace

bool IsElfCore(std::span<const std::byte> begin) { return TypeOfElf(TextOf(begin)) == ET_CORE; }

std::string DescribeNoCore(std::span<const std::byte> bytes) {
  const std::string_view begin = TextOf(bytes);
  if (begin.empty()) return "it is empty";
  if (begin.starts_with(std::string_view(ELFMAG, SELFMAG))) return DescribeElf(begin);
  for (const Magic& magic : kMagics)
    if (begin.size() > magic.at && begin.substr(magic.at).starts_with(magic.bytes)) return magic.what;
  if (IsText(begin)) return "it is text, not a core";
  if (begin.find_first_not_of('\0') == std::string_view::npos)
    return "it begins with zeros, not as a core does";
  return "it is no ELF file, and so no core";
}

}  // namespace obit
