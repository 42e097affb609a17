#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crash/record.h"
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

/// Index of the first frame from `first` on that is the program's own logic: none of the runtime, of
/// libraries' headers, or a jump to where no code is, and, with `gave_up` (a signal that the process sent to
/// itself), not what ends a program on behalf of many callers (die(), fatal(), checks). The number of frames
/// if there is none.
[[nodiscard]] std::size_t FindOwnFrame(const std::vector<Frame>& frames, const std::vector<Module>& modules,
                                       std::size_t first, bool gave_up);

/// Index of the frame that the outermost signal came to; 0 if there was none.
[[nodiscard]] std::size_t InterruptedFrame(const std::vector<Frame>& frames);

/// Report::cause_frame; of a report that does not tell, the frame that the outermost signal came to, if a
/// handler may have ended the process.
[[nodiscard]] std::size_t CauseFrameOf(const Report& report, const CrashRecord& record);

/// Index of the frame, among the first `end`, that the outermost signal came to which came to who had just
/// sent it, as abort(3) does, or to who has no name; 0 if there was none. A handler of any other signal that
/// ends the program does so for a reason of its own.
[[nodiscard]] std::size_t RaisingFrame(const std::vector<Frame>& frames, std::size_t end = SIZE_MAX);

/// Where those end that tell of a crash from `first` on: where a signal came to what has nothing to do with
/// it, if it was in a handler.
[[nodiscard]] std::size_t EndOfHandler(const std::vector<Frame>& frames, std::size_t first);

/// Number of the innermost `frames` that lead to the end of the process and not to its reason: helpers that
/// many call to die, with the runtime's frames between them. 0 if there is nothing behind.
[[nodiscard]] std::size_t CountFatalHelpers(std::span<const Frame> frames,
                                            const std::vector<Module>& modules);

}  // namespace obit
