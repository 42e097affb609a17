#pragma once

#include "analyze/core_image.h"
#include "analyze/signal_frame.h"

namespace obit {

/// Says of a frame whose handler did not ask what the signal told, which fault it was: by the last exception
/// of the processor, if the instruction that was interrupted makes just that one. Fills `signal`, `code`,
/// `address`. False: it was none, or another.
[[nodiscard]] bool TellByTrap(CoreImage& image, SignalFrame& frame);

}  // namespace obit
