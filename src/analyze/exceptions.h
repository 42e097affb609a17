#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "analyze/core_image.h"

namespace obit {

/// An exception that was thrown (Itanium C++ ABI, level 2; libstdc++-v3/libsupc++/unwind-cxx.h of GCC,
/// libcxxabi/src/cxa_exception.h of LLVM).
struct ThrownException {
  std::string type;         ///< demangled
  std::string text;         ///< what what() says, or the value; empty if that is not known
  bool text_guess = false;  ///< `text` is in the object, but what() may say something else
};

/// The first exception that one of these words points to: to the object that was thrown, or to the unwinder's
/// header in front of it. One that was thrown again from a std::exception_ptr leads to the first one.
[[nodiscard]] std::optional<ThrownException> FindException(CoreImage& image,
                                                           std::span<const std::uint64_t> words);

/// What the C++ runtime knows of a thread's exceptions: struct __cxa_eh_globals.
struct ExceptionGlobals {
  std::uint64_t caught = 0;    ///< the unwinder's header of the one that is being handled; 0: there is none
  std::uint32_t uncaught = 0;  ///< that are being thrown
};
/// Looks for it by the code of `function`, __cxa_get_globals of the C++ runtime. Nothing if that is not as
/// expected.
[[nodiscard]] std::optional<ExceptionGlobals> FindExceptionGlobals(CoreImage& image, std::uint64_t function,
                                                                   std::uint64_t fs_base);

}  // namespace obit
