#include "store/seekable.h"

#include <algorithm>

#include "base/byte_reader.h"

namespace obit {
namespace {

// zstd frame format, RFC 8878. All values little-endian.
constexpr std::uint32_t kZstdMagic = 0xFD2FB528;
constexpr std::uint32_t kSkippableMagic = 0x184D2A5E;
constexpr std::uint32_t kSeekableMagic = 0x8F92EAB1;
constexpr std::size_t kBlock = 128 * 1024;      // Block_Maximum_Size of any frame
constexpr std::uint8_t kHoleDescriptor = 0xC0;  // 8-byte content size, no checksum, not single-segment
constexpr std::uint8_t kHoleWindow = 7 << 3;    // window of 128 KiB
constexpr std::size_t kHoleHeaderBytes = 4 + 1 + 1 + 8, kHoleBlockBytes = 3 + 1;
constexpr std::uint8_t kChecksumFlag = 0x80, kReservedBits = 0x7c;  // Seek_Table_Descriptor

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "encode and decode by value");

template <class T>
void Append(std::vector<std::byte>& out, T value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

}  // namespace

std::size_t HoleFrameSize(std::uint64_t plain) {
  return kHoleHeaderBytes + static_cast<std::size_t>((plain + kBlock - 1) / kBlock) * kHoleBlockBytes;
}

void AppendHoleFrame(std::vector<std::byte>& out, std::uint64_t plain) {
  Append(out, kZstdMagic);
  Append(out, kHoleDescriptor);
  Append(out, kHoleWindow);
  Append(out, plain);
  while (plain > 0) {
    const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(plain, kBlock));
    plain -= size;
    const std::uint32_t last = plain == 0 ? 1 : 0, run_length = 1 << 1;
    const std::uint32_t header = last | run_length | size << 3;
    out.push_back(static_cast<std::byte>(header));
    out.push_back(static_cast<std::byte>(header >> 8));
    out.push_back(static_cast<std::byte>(header >> 16));
    out.push_back(std::byte{0});  // the byte that is repeated
  }
}

bool IsHoleFrame(std::span<const std::byte> frame, std::uint64_t plain) {
  if (plain == 0 || plain > kHoleFrameBytes || frame.size() != HoleFrameSize(plain)) return false;
  std::vector<std::byte> expected;
  AppendHoleFrame(expected, plain);
  if (std::ranges::equal(frame, expected)) return true;
  if (frame.size() != HoleFrameSize(kHoleFrameBytes)) return false;
  expected.clear();
  AppendHoleFrame(expected, kHoleFrameBytes);
  return std::ranges::equal(frame, expected);
}

std::vector<std::byte> EncodeSeekTable(std::span<const SeekEntry> entries) {
  std::vector<std::byte> table;
  table.reserve(8 + entries.size() * 8 + kSeekFooterBytes);
  Append(table, kSkippableMagic);
  Append(table, static_cast<std::uint32_t>(entries.size() * 8 + kSeekFooterBytes));
  for (const SeekEntry& entry : entries) {
    Append(table, entry.stored);
    Append(table, entry.plain);
  }
  Append(table, static_cast<std::uint32_t>(entries.size()));
  Append(table, std::uint8_t{0});
  Append(table, kSeekableMagic);
  return table;
}

Result<SeekFooter> DecodeSeekFooter(std::span<const std::byte> footer) {
  ByteReader reader(footer);
  const auto frames = reader.Read<std::uint32_t>();
  const auto descriptor = reader.Read<std::uint8_t>();
  const auto magic = reader.Read<std::uint32_t>();
  if (!magic || *magic != kSeekableMagic) return Refuse(EBADMSG, "no seek table at the end");
  if (*frames > kFramesMax || (*descriptor & kReservedBits) != 0) return Refuse(EBADMSG, "odd seek table");
  const std::size_t entry_bytes = (*descriptor & kChecksumFlag) != 0 ? 12 : 8;
  return SeekFooter{*frames, 8 + *frames * entry_bytes + kSeekFooterBytes, entry_bytes};
}

bool IsSeekHeader(std::span<const std::byte> header, const SeekFooter& footer) {
  ByteReader reader(header);
  const auto magic = reader.Read<std::uint32_t>();
  const auto size = reader.Read<std::uint32_t>();
  return size && *magic == kSkippableMagic && *size == footer.table_bytes - kSeekHeaderBytes;
}

std::optional<SeekEntry> DecodeSeekEntry(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto stored = reader.Read<std::uint32_t>();
  const auto plain = reader.Read<std::uint32_t>();
  if (!plain) return std::nullopt;
  return SeekEntry{*stored, *plain};
}

}  // namespace obit
