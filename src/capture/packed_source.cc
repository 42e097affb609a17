#include "capture/packed_source.h"

#include <cstring>
#include <memory>
#include <string_view>

#include <lzma.h>
#define ZLIB_CONST  // zlib.h: what it reads is const
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/io.h"
#include "capture/file_kind.h"

namespace obit {
namespace {

constexpr std::size_t kStep = 256 * 1024;

constexpr std::byte kXzMagic{0xfd}, kGzipMagic{0x1f}, kZstdMagic{0x28};  // the first ones
constexpr int kGzipOnly = MAX_WBITS + 16;  // zlib.h: with its header, checksum and length
constexpr const char* kFollows = "something that is not packed follows it in the file";

/// Empty for what is none.
std::string Complaint(lzma_stream& stream, lzma_ret got) {
  switch (got) {
    case LZMA_OK:
    case LZMA_STREAM_END:
      return "";
    case LZMA_MEMLIMIT_ERROR:
      return fmt::format("to unpack it takes {} MiB of memory, and obit takes {} at most: unxz it first",
                         (lzma_memusage(&stream) >> 20) + 1, kXzMemoryMax >> 20);
    case LZMA_MEM_ERROR:
      return "there is no memory to unpack it";
    case LZMA_BUF_ERROR:
      return "truncated input";
    case LZMA_OPTIONS_ERROR:
      return "it is packed in a way that this xz does not know";
    default:
      return "it is damaged";
  }
}

}  // namespace

Result<std::span<const std::byte>> PackedSource::Begin() {
  if (!begun_) {
    begin_.resize(kKindBytes);
    begin_.resize(OBIT_TRY(ReadFull(file_, begin_)));
    begun_ = true;
  }
  return std::span<const std::byte>(begin_);
}

Result<std::span<const std::byte>> PackedSource::Next() {
  if (begun_ && !begin_.empty()) {
    buffer_ = std::exchange(begin_, {});
    return std::span<const std::byte>(buffer_);
  }
  buffer_.resize(kStep);
  return std::span<const std::byte>(buffer_).first(OBIT_TRY(ReadFull(file_, buffer_)));
}

bool IsXz(std::span<const std::byte> begin) {
  constexpr std::string_view kMagic("\xfd\x37zXZ\0", 6);
  return begin.size() >= kMagic.size() && std::memcmp(begin.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<CoreFileEnd> ReadXz(PackedSource& source, CoreFileSink& sink,
                           const std::function<void(std::uint64_t)>& progress) {
  lzma_stream stream = LZMA_STREAM_INIT;
  const std::unique_ptr<lzma_stream, decltype(&lzma_end)> owner(&stream, &lzma_end);
  // One stream after the other: lzma(3) would not say whether it is the first that is damaged.
  const auto begin = [&] { return lzma_stream_decoder(&stream, kXzMemoryMax, 0) == LZMA_OK; };
  if (!begin()) return Fail(ENOMEM, "unpack");
  std::vector<std::byte> plain(kStep);
  std::uint64_t taken = 0;
  bool is_between = false;  // streams
  lzma_action action = LZMA_RUN;
  for (std::uint64_t streams = 0;;) {
    if (stream.avail_in == 0 && action == LZMA_RUN) {
      const auto more = OBIT_TRY(source.Next());
      if (more.empty()) action = LZMA_FINISH;
      stream.next_in = reinterpret_cast<const std::uint8_t*>(more.data());
      stream.avail_in = more.size();
      taken += more.size();
    }
    if (is_between) {
      if (stream.avail_in == 0) return CoreFileEnd{};
      if (*stream.next_in == 0) {  // padding
        ++stream.next_in, --stream.avail_in;
        continue;
      }
      if (std::byte{*stream.next_in} != kXzMagic) return CoreFileEnd{kFollows, true};
      if (!begin()) return Fail(ENOMEM, "unpack");
      is_between = false;
    }
    stream.next_out = reinterpret_cast<std::uint8_t*>(plain.data());
    stream.avail_out = plain.size();
    const lzma_ret got = lzma_code(&stream, action);
    if (const std::size_t bytes = plain.size() - stream.avail_out; bytes > 0)
      OBIT_TRY(sink.Data(std::span(plain).first(bytes)));
    progress(taken - stream.avail_in);
    if (got == LZMA_STREAM_END)
      is_between = true, ++streams;
    else if (got == LZMA_FORMAT_ERROR && streams > 0)
      return CoreFileEnd{kFollows, true};
    else if (got != LZMA_OK)
      return CoreFileEnd{Complaint(stream, got)};
  }
}

bool IsGzip(std::span<const std::byte> begin) {
  return begin.size() >= 2 && begin[0] == kGzipMagic && begin[1] == std::byte{0x8b};
}

Result<CoreFileEnd> ReadGzip(PackedSource& source, CoreFileSink& sink,
                             const std::function<void(std::uint64_t)>& progress) {
  z_stream stream{};
  if (::inflateInit2(&stream, kGzipOnly) != Z_OK) return Fail(ENOMEM, "unpack");
  const std::unique_ptr<z_stream, decltype(&::inflateEnd)> owner(&stream, &::inflateEnd);
  std::vector<std::byte> plain(kStep);
  std::uint64_t taken = 0;
  bool has_more = false;    // of what was unpacked: there was no room
  bool is_between = false;  // members
  for (std::uint64_t members = 0;;) {
    if (stream.avail_in == 0 && !has_more) {
      const auto more = OBIT_TRY(source.Next());
      if (more.empty()) return CoreFileEnd{is_between ? "" : "truncated input"};
      stream.next_in = reinterpret_cast<const Bytef*>(more.data());
      stream.avail_in = static_cast<uInt>(more.size());
      taken += more.size();
    }
    if (is_between) {
      const std::byte next{*stream.next_in};
      if (next == std::byte{0}) {  // a tape is filled up so
        ++stream.next_in, --stream.avail_in;
        continue;
      }
      if (next != kGzipMagic) return CoreFileEnd{kFollows, true};
      (void)::inflateReset(&stream);
      is_between = false;
    }
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(plain.size());
    const int got = ::inflate(&stream, Z_NO_FLUSH);
    has_more = got == Z_OK && stream.avail_out == 0;
    if (const std::size_t bytes = plain.size() - stream.avail_out; bytes > 0)
      OBIT_TRY(sink.Data(std::span(plain).first(bytes)));
    progress(taken - stream.avail_in);
    if (got == Z_STREAM_END)
      is_between = true, ++members;
    else if (got != Z_OK && got != Z_BUF_ERROR && members > 0 && stream.total_out == 0)
      return CoreFileEnd{kFollows, true};
    else if (got != Z_OK && got != Z_BUF_ERROR)
      return CoreFileEnd{stream.msg != nullptr ? fmt::format("it is damaged: {}", stream.msg)
                                               : "it is damaged"};
  }
}

bool IsZstd(std::span<const std::byte> begin) {
  constexpr std::string_view kMagic("\x28\xb5\x2f\xfd", 4);
  return begin.size() >= kMagic.size() && std::memcmp(begin.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<CoreFileEnd> ReadZstd(PackedSource& source, CoreFileSink& sink,
                             const std::function<void(std::uint64_t)>& progress) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) return Fail(ENOMEM, "unpack");
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  std::vector<std::byte> plain(kStep);
  ZSTD_inBuffer in{nullptr, 0, 0};
  std::uint64_t taken = 0;
  bool has_more = false;    // of what was unpacked: there was no room
  bool is_between = false;  // frames
  for (std::uint64_t frames = 0;;) {
    if (in.pos == in.size && !has_more) {
      const auto more = OBIT_TRY(source.Next());
      if (more.empty()) return CoreFileEnd{is_between ? "" : "truncated input"};
      in = {more.data(), more.size(), 0};
      taken += more.size();
    }
    if (is_between) {
      const std::byte next = static_cast<const std::byte*>(in.src)[in.pos];
      const bool is_skipped = (next & std::byte{0xf0}) == std::byte{0x50};  // a frame that zstd skips
      if (next != kZstdMagic && !is_skipped) return CoreFileEnd{kFollows, true};
      is_between = false;
    }
    ZSTD_outBuffer out{plain.data(), plain.size(), 0};
    const std::size_t got = ZSTD_decompressStream(context.get(), &out, &in);
    if (out.pos > 0) OBIT_TRY(sink.Data(std::span(plain).first(out.pos)));
    progress(taken - (in.size - in.pos));
    if (ZSTD_getErrorCode(got) == ZSTD_error_prefix_unknown && frames > 0) return CoreFileEnd{kFollows, true};
    if (ZSTD_isError(got) != 0)
      return CoreFileEnd{fmt::format("it cannot be unpacked: {}", ZSTD_getErrorName(got))};
    has_more = got != 0 && out.pos == out.size;
    if (got == 0) is_between = true, ++frames;
  }
}

}  // namespace obit
