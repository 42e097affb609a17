#include "capture/stored_head.h"

#include <vector>

#include "store/seekable.h"

namespace obit {

Result<CoreHead> ReadStoredHead(CoreReader& core, CoreHead head) {
  std::vector<std::byte> buffer(kFrameBytes);
  for (std::uint64_t at = 0; at < core.size() && !head.complete() && head.invalid().empty();) {
    const auto got = OBIT_TRY(core.ReadAt(at, buffer));
    head.Feed(std::span(buffer).first(got));
    at += got;
  }
  return head;
}

}  // namespace obit
