#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"
#include "store/core_frames.h"
#include "store/core_reader.h"

namespace obit {

/// What a seek table would say.
struct FoundFrames : CoreFrames {
  /// The disk cannot read what is behind them: there may be more.
  std::optional<Error> unreadable;
};
/// By what a frame is taken for whole. A killed writer leaves frames that are whole or end early; a power cut
/// may leave any of their pages unwritten, which only their content shows: that takes as long as unpacking.
enum class FrameCheck { kShape, kContent };
/// Looks for the whole frames of a file, as CoreWriter makes them. `progress`, if any, grows by what is read.
/// Fails only if the file cannot be read: with EIO if there is no frame before the bytes that the disk does
/// not give; or, with ENOMEM, if there is no memory to unpack it.
[[nodiscard]] Result<FoundFrames> FindFrames(const Fd& file, FrameCheck check = FrameCheck::kShape,
                                             std::atomic<std::uint64_t>* progress = nullptr);

/// What RecoverCore made of a file.
struct RecoveredCore : StoredCore {
  /// The disk cannot read what is behind the `plain` bytes: there may be more, and the file is as it was.
  std::optional<Error> unreadable;
  /// The first of its frames that are damaged: the seek table leads to what follows, and the file is as it
  /// was.
  std::optional<Error> damaged;
};
/// Makes a file that a killed CoreWriter left good: keeps the whole frames, cuts what follows, appends the
/// seek table. A file that is whole already stays as it is, and so do one of which the disk does not give
/// all behind a frame (`unreadable`) and one whose writer had come to its end (`damaged`). Where the disk has
/// no room for the table, frames from the end make it, as in CoreWriter::Finish, which says when there is
/// none in the end (`has_table`). Fails if the file cannot be read, if there is no memory for it (ENOMEM),
/// and, with EIO, if its table is there behind bytes that the disk does not give: nothing of it is cut.
[[nodiscard]] Result<RecoveredCore> RecoverCore(const Fd& file, FrameCheck check = FrameCheck::kShape,
                                                std::atomic<std::uint64_t>* progress = nullptr);

/// The sizes by the seek table that the file ends with, if that is of all that is before it: its writer came
/// to its end. Holes that are kept by their length alone are not in it: with them `plain` is 0, not known.
/// Needs a few MiB of memory, whatever the file claims. Fails only if the file cannot be read.
[[nodiscard]] Result<std::optional<StoredCore>> SizesOfWholeCore(const Fd& file);
/// True if it has such a table.
[[nodiscard]] Result<bool> IsWholeCore(const Fd& file);

/// A stored core, to be read. One that ends without a seek table, as its writer could not append one, is read
/// by its frames, as far as they go: that takes reading all of it once.
struct OpenedCore {
  CoreReader reader;
  bool has_table = true;
  /// The disk cannot read what is behind its frames: there may be more.
  std::optional<Error> unreadable;
};
/// EBADMSG: it has no frame either, or its table is damaged; else as CoreReader::Open.
[[nodiscard]] Result<OpenedCore> OpenStoredCore(Fd file);

/// EBADMSG: the stored core is longer than its program headers say. Older versions stored the end of a long
/// hole as up to 128 KiB more; its readers know how long it is from the seek table, but where that table was
/// lost and made anew from the frames, what follows is shifted, and nothing tells where.
[[nodiscard]] Result<void> CheckNotShifted(const CrashRecord::Capture& capture);

}  // namespace obit
