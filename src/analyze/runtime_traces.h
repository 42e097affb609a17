#pragma once

#include <optional>
#include <string>

#include "analyze/core_image.h"
#include "analyze/modules.h"
#include "analyze/unwinder.h"
#include "crash/report.h"

namespace obit {

/// What the C library said before it aborted: its __abort_msg ("free(): invalid pointer"). Empty if nothing.
[[nodiscard]] std::string FindAbortMessage(CoreImage& image, Modules& modules);

/// An exception that was being thrown (Itanium C++ ABI, as in GCC's runtime).
struct ThrownException {
  std::string type;  ///< demangled
  std::string
      what;  ///< of std::runtime_error and std::logic_error and what derives from them; of texts and numbers
};
/// Looks for it in the registers and on the stack of the crashing thread, where the unwinder left pointers to
/// it.
[[nodiscard]] std::optional<ThrownException> FindException(CoreImage& image, const RawStack& stack);

/// The words of a Rust panic: what is left of them on the stack, since they went to standard error.
/// Empty if they are not found.
[[nodiscard]] std::string FindPanicMessage(CoreImage& image, const RawStack& raw, const Stack& stack);

}  // namespace obit
