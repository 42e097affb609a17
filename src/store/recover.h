#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"
#include "store/core_writer.h"
#include "store/seekable.h"

namespace obit {

/// The whole frames of a file from its beginning on, as CoreWriter makes them: what a seek table would say.
struct FoundFrames {
  std::vector<SeekEntry> frames;
  std::vector<std::uint64_t> holes;  ///< the lengths of the hole marks among them
  StoredCore core;                   ///< `stored` of these frames
};
/// Looks for them. Fails only if the file cannot be read.
[[nodiscard]] Result<FoundFrames> FindFrames(const Fd& file);

/// Makes a file that a killed CoreWriter left good: keeps the whole frames, cuts what follows, appends the
/// seek table. A file that is whole already stays as it is. The content is checked for shape, not unpacked.
[[nodiscard]] Result<StoredCore> RecoverCore(const Fd& file);

/// EBADMSG: the stored core is longer than its program headers say. Older versions stored the end of a long
/// hole as up to 128 KiB more; its readers know how long it is from the seek table, but where that table was
/// lost and made anew from the frames, what follows is shifted, and nothing tells where.
[[nodiscard]] Result<void> CheckNotShifted(const CrashRecord::Capture& capture);

}  // namespace obit
