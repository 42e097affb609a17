#pragma once

#include <cstddef>
#include <vector>

#include "crash/report.h"

namespace obit {

/// Whose code a frame is, by its module and its name alone: what a program without debug information says,
/// too.
enum class FrameOwner {
  kProgram,
  kTemplate,  ///< a library's, compiled into the program: std::vector<shop::Cart>::push_back()
  kRuntime,   ///< C and C++ libraries, what starts programs and threads, panic machinery, allocators' checks,
              ///< signal trampolines, the runtimes of languages
};
[[nodiscard]] FrameOwner OwnerOf(const Frame& frame, const std::vector<Module>& modules);

/// Number of innermost frames that are not the program's own logic: those of the runtime and of libraries'
/// headers, jumps to where no code is, and, with `gave_up` (a signal that the process sent to itself), what
/// ends a program on behalf of many callers (die(), fatal(), checks) and a signal handler, since it is what
/// gave up: what it interrupted counts. All of them if there are no others.
[[nodiscard]] std::size_t CountRuntimeFrames(const std::vector<Frame>& frames,
                                             const std::vector<Module>& modules, bool gave_up);

/// Index of the frame that the outermost signal came to; 0 if there was none.
[[nodiscard]] std::size_t InterruptedFrame(const std::vector<Frame>& frames);

/// Number of the frames from `first` on that lead to the end of the process and not to its reason: helpers
/// that many call to die, with the runtime's frames between them. 0 if there is nothing behind.
[[nodiscard]] std::size_t CountFatalHelpers(const std::vector<Frame>& frames,
                                            const std::vector<Module>& modules, std::size_t first);

}  // namespace obit
