#pragma once

#include <cstddef>
#include <string>

#include "crash/report.h"
#include "render/terminal.h"

namespace obit {

/// How much of a stack is shown.
struct StackLimits {
  std::size_t first = SIZE_MAX;  ///< frames from the innermost on ...
  std::size_t last = 0;          ///< ... and before the end of the stack; those between are counted
};

/// One line a frame: "  #0  Cache::find(std::string const&) const  cache.cc:112". Folded frames are numbered
/// as if each repetition were there. Guesses are marked with "?". Complete lines, with newlines.
[[nodiscard]] std::string RenderFrames(const Stack& stack, const Report& report, const Terminal& terminal,
                                       const StackLimits& limits);
/// What is to be known of those frames: that there are guesses, and why the stack is not complete. Complete
/// lines.
[[nodiscard]] std::string RenderStackRemarks(const Stack& stack, const Terminal& terminal);

/// The frame that says most: the innermost one with a name that is the program's own, as the report says;
/// where it does not, the innermost one that is neither in the C or C++ runtime nor in a header of the
/// system; else the first. Null if there are no frames.
[[nodiscard]] const Frame* TellingFrame(const Stack& stack, const Report& report);

/// "Cache::find(std::string const&) const"; "(no name)" if there is none. Fit for a terminal, at most `width`
/// cells (0 is unlimited).
[[nodiscard]] std::string FunctionText(const Frame& frame, std::size_t width);

/// "cache.cc:112", or "libc.so.6 +0x89134" where lines are not known. Fit for a terminal.
[[nodiscard]] std::string PlaceText(const Frame& frame, const Report& report);

/// Whether how the frame was found may have gone wrong.
[[nodiscard]] bool IsGuess(const Frame& frame);

}  // namespace obit
