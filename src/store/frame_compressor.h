#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <zstd.h>

#include "base/result.h"

namespace obit {

/// Makes the zstd frames of one core: level 1, or a faster one where that loses next to nothing. Which memory
/// is of that kind is learned from the frames themselves: the second one, and from there on every
/// kSampleEvery-th one, is compressed both ways. Most cores of small programs have no second one.
/// For one thread.
class FrameCompressor {
 public:
  enum class Effort {
    kUsual,  ///< somebody waits for the frames
    kMore,   ///< nobody does: level 3, always
  };
  static constexpr int kLevel = 1;  ///< higher ones gain little on memory (docs/benchmarks.md)
  static constexpr int kMoreLevel = 3;
  static constexpr int kFastLevel = -3;
  static constexpr unsigned kSampleEvery = 64;

  explicit FrameCompressor(Effort effort = Effort::kUsual);

  [[nodiscard]] Effort effort() const { return effort_; }
  /// For another core: nothing is known of its memory.
  void Restart() {
    until_sample_ = 1;
    fast_ = false;
  }
  /// Compresses `plain` into `frame`, which has room for ZSTD_compressBound(plain.size()). Returns the
  /// frame's size, bytes. ENOMEM: zstd failed.
  [[nodiscard]] Result<std::size_t> Compress(std::span<const std::byte> plain, std::span<std::byte> frame);

 private:
  Result<std::size_t> CompressAt(int level, std::span<const std::byte> plain, std::span<std::byte> frame);

  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
  const Effort effort_;
  unsigned until_sample_ = 1;
  bool fast_ = false;  // the last sample lost next to nothing
};

}  // namespace obit
