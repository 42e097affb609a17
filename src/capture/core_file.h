#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Takes the bytes of a core file in order, or a run of zeros.
class CoreFileSink {
 public:
  virtual ~CoreFileSink() = default;
  /// So many bytes of holes will come; told first, if it is known.
  virtual void Expect(std::uint64_t holes) = 0;
  virtual Result<void> Data(std::span<const std::byte> bytes) = 0;
  virtual Result<void> Hole(std::uint64_t length) = 0;
};

/// How a core file ended.
struct CoreFileEnd {
  /// Why there is no more of its content, or why that may not be what was packed; empty if nothing is wrong.
  std::string complaint;
  bool follows = false;  ///< the content is whole, and the complaint is of what follows it
};

/// Passes a core file, plain or packed, unpacked to `sink`; `progress` gets the bytes of the file itself that
/// are done. A file that is cut or damaged is no failure: it ends with a complaint, also where a checksum at
/// its end is the first to tell. Fails with what reading or the sink fails with. EBADMSG: it is nothing that
/// a core may be in, with the reason.
[[nodiscard]] Result<CoreFileEnd> ReadCoreFile(const Fd& file, CoreFileSink& sink,
                                               const std::function<void(std::uint64_t)>& progress);

}  // namespace obit
