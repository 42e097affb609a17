#pragma once

#include <cstdint>
#include <vector>

#include "base/keyed_hash.h"
#include "base/result.h"
#include "capture/plan.h"
#include "capture/stream.h"
#include "crash/record.h"
#include "store/core_reader.h"

namespace obit {

/// Reads what is left of the kernel's core, up to `end`, and compares it with the stored one, page by page.
/// `segments` name the places, by their order in the core. The stream's errors.
[[nodiscard]] Result<Verification> CompareWithStream(CoreReader& stored, CoreStream& stream,
                                                     std::uint64_t end,
                                                     const std::vector<PlannedSegment>& segments);

/// What the kernel sent of a core, to be compared once the process is gone: a hash of each page.
class StreamDigest {
 public:
  /// What is left of the core, up to `end`. ENOMEM: that is more than kBytesMax. The stream's errors.
  [[nodiscard]] static Result<StreamDigest> Read(CoreStream& stream, std::uint64_t end);
  /// As CompareWithStream.
  [[nodiscard]] Result<Verification> CompareWith(CoreReader& stored,
                                                 const std::vector<PlannedSegment>& segments) const;

  static constexpr std::uint64_t kBytesMax = 16ULL << 30;  ///< of a core: 32 MiB of hashes

 private:
  std::uint64_t begin_ = 0, end_ = 0;  // offsets in the core
  HashKey key_{};
  std::vector<std::uint64_t> pages_;  // from the page of begin_ on
};

}  // namespace obit
