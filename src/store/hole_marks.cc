#include "store/hole_marks.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <zstd.h>

namespace obit {
namespace {

// A skippable frame (RFC 8878): magic, size of what follows; then what makes it ours.
struct Header {
  std::uint32_t magic, size;
  std::array<char, 8> kind;
};
static_assert(sizeof(Header) == 16 && std::has_unique_object_representations_v<Header>);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "encode and decode by value");

constexpr std::uint32_t kMagic = 0x184D2A57;  // the seek table has 0x184D2A5E
constexpr std::array<char, 8> kMark{'o', 'b', 'i', 't', 'h', 'o', 'l', 'e'};
constexpr std::array<char, 8> kList{'o', 'b', 'i', 't', 'l', 'i', 's', 't'};

void AppendHeader(std::vector<std::byte>& out, const std::array<char, 8>& kind, std::size_t content) {
  const Header header{kMagic, static_cast<std::uint32_t>(sizeof kind + content), kind};
  const auto bytes = std::as_bytes(std::span(&header, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// The content of a frame of ours that `bytes` begin with.
std::optional<std::span<const std::byte>> ContentOf(std::span<const std::byte> bytes,
                                                    const std::array<char, 8>& kind) {
  Header header{};
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes = bytes.subspan(sizeof header);
  if (header.magic != kMagic || header.kind != kind || header.size < sizeof kind) return std::nullopt;
  if (header.size - sizeof kind > bytes.size()) return std::nullopt;
  return bytes.first(header.size - sizeof kind);
}

/// With a checksum: one wrong length would shift all that follows it.
Result<std::vector<std::byte>> EncodeHoleList(std::span<const std::uint64_t> holes) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  if (!context) return Fail(ENOMEM, "compress the hole list");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  const auto plain = std::as_bytes(holes);
  std::vector<std::byte> packed(ZSTD_compressBound(plain.size()));
  const std::size_t size =
      ZSTD_compress2(context.get(), packed.data(), packed.size(), plain.data(), plain.size());
  if (ZSTD_isError(size) != 0) return Refuse(ENOMEM, "compress the hole list: {}", ZSTD_getErrorName(size));
  std::vector<std::byte> frame;
  frame.reserve(sizeof(Header) + size);
  AppendHeader(frame, kList, size);
  frame.insert(frame.end(), packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size));
  return frame;
}

}  // namespace

void AppendHoleMark(std::vector<std::byte>& out, std::uint64_t length) {
  AppendHeader(out, kMark, sizeof length);
  const auto bytes = std::as_bytes(std::span(&length, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::optional<std::uint64_t> ReadHoleMark(std::span<const std::byte> bytes) {
  const auto content = ContentOf(bytes, kMark);
  std::uint64_t length = 0;
  if (!content || content->size() != sizeof length) return std::nullopt;
  std::memcpy(&length, content->data(), sizeof length);
  if (length == 0 || length > kCoreBytesMax) return std::nullopt;
  return length;
}

std::size_t HoleListBytesMax(std::size_t marks) {
  return sizeof(Header) + ZSTD_compressBound(marks * sizeof(std::uint64_t));
}

std::size_t EndBytesMax(std::size_t frames, std::size_t holes) {
  return (holes > 0 ? HoleListBytesMax(holes) : 0) + 8 + (frames + 1) * 8 + kSeekFooterBytes;
}

Result<std::vector<std::byte>> EncodeEnd(std::vector<SeekEntry> frames,
                                         std::span<const std::uint64_t> holes) {
  std::vector<std::byte> end;
  if (!holes.empty()) {
    end = OBIT_TRY(EncodeHoleList(holes));
    frames.push_back({static_cast<std::uint32_t>(end.size()), 0});
  }
  const std::vector<std::byte> table = EncodeSeekTable(frames);
  end.insert(end.end(), table.begin(), table.end());
  return end;
}

Result<std::optional<std::vector<std::uint64_t>>> DecodeHoleList(std::span<const std::byte> frame,
                                                                 std::size_t marks) {
  const auto packed = ContentOf(frame, kList);
  if (!packed) return std::nullopt;
  std::vector<std::uint64_t> holes(marks);
  const auto plain = std::as_writable_bytes(std::span(holes));
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) return Fail(ENOMEM, "unpack the hole list");
  const std::size_t size =
      ZSTD_decompressDCtx(context.get(), plain.data(), plain.size(), packed->data(), packed->size());
  if (ZSTD_isError(size) != 0) return Refuse(EBADMSG, "its hole list: {}", ZSTD_getErrorName(size));
  if (size != plain.size()) return Refuse(EBADMSG, "its hole list is of other holes");
  if (std::ranges::any_of(holes, [](std::uint64_t hole) { return hole == 0 || hole > kCoreBytesMax; }))
    return Refuse(EBADMSG, "its hole list is odd");
  return holes;
}

}  // namespace obit
