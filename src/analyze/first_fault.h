#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "analyze/core_image.h"
#include "analyze/signal_frame.h"
#include "analyze/unwinder.h"
#include "crash/record.h"

namespace obit {

/// The fault that a signal handler was called for, before the process died of what the handler did: abort,
/// send the signal once more, or fault itself. The first in time, where there are several.
struct FirstFault {
  SignalFrame frame;
  std::size_t interrupted = 0;  ///< index of the frame in the stack that it came in
  bool guess = false;           ///< its handler may have returned long ago

  /// The record of the crash, as if the process had died of this fault.
  [[nodiscard]] CrashRecord RecordOf(const CrashRecord& record) const;
};

/// Looks for it on the stack of the thread that died: `raw`, which begins with `registers`. Where unwinding
/// did not come to the frame, or not through it, `raw` goes on from there afterwards. A handler that has sent
/// the signal again and returned has left its frame behind, above or below the stack: it counts if the
/// registers are the ones in it. Nothing: there was no such fault, or it cannot be found.
[[nodiscard]] std::optional<FirstFault> FindFirstFault(CoreImage& image, Unwinder& unwinder,
                                                       const CrashRecord& record,
                                                       const std::vector<std::uint64_t>& registers,
                                                       RawStack& raw);

}  // namespace obit
