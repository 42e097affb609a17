#include "store/frame_compressor.h"

#include <cerrno>

namespace obit {

FrameCompressor::FrameCompressor(Effort effort)
    : context_(ZSTD_createCCtx(), &ZSTD_freeCCtx), effort_(effort) {
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
}

Result<std::size_t> FrameCompressor::Compress(std::span<const std::byte> plain, std::span<std::byte> frame) {
  if (effort_ == Effort::kMore) return CompressAt(kMoreLevel, plain, frame);
  if (until_sample_ > 0) {
    --until_sample_;
    return CompressAt(fast_ ? kFastLevel : kLevel, plain, frame);
  }
  until_sample_ = kSampleEvery - 1;
  const std::size_t fast = OBIT_TRY(CompressAt(kFastLevel, plain, frame));
  const std::size_t normal = OBIT_TRY(CompressAt(kLevel, plain, frame));
  fast_ = fast <= normal + normal / 8;
  return normal;
}

Result<std::size_t> FrameCompressor::CompressAt(int level, std::span<const std::byte> plain,
                                                std::span<std::byte> frame) {
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
  const std::size_t size =
      ZSTD_compress2(context_.get(), frame.data(), frame.size(), plain.data(), plain.size());
  if (ZSTD_isError(size) != 0) return Refuse(ENOMEM, "compress: {}", ZSTD_getErrorName(size));
  return size;
}

}  // namespace obit
