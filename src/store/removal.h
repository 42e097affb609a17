#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Entries of a crash folder that are taken away in one go: by who was told to, and by who has other things
/// to do.
inline constexpr std::size_t kRemovedAtOnce = 1'000'000, kRemovedInPassing = 1'000;

/// Takes everything out of the open folder of a crash that is being removed: first what obit wrote, the core
/// before all, so that its room is free whatever comes then; then what its owner put there, whatever that is.
/// Links are not followed, other file systems not entered, and folders in folders need neither memory nor
/// descriptors, however deep they are.
///
/// ENOTEMPTY: all that obit wrote is gone, and something else is left, since the caller may not remove it.
/// The message names it. EAGAIN: `most` entries were looked at and some are gone, but there are more. Other
/// errors: something of obit's is left.
[[nodiscard]] Result<void> EmptyCrashFolder(const Fd& dir, std::size_t most = kRemovedAtOnce);

/// The same with the folder itself, `name` below `parent`. One that is gone already is fine.
///
/// Neither is synced, nor the rename that took the crash away from readers before: that would cost each
/// removal a wait for the disk. File systems with a journal or the like (ext4, XFS, Btrfs, F2FS) keep the
/// order of what is done to folders. So after a power cut the crash is there as a whole, or what is left of
/// it under the name that it was moved to (HalfRemoved). Those without (ext2) promise nothing about any
/// folder.
[[nodiscard]] Result<void> RemoveCrashFolder(const Fd& parent, const std::string& name,
                                             std::size_t most = kRemovedAtOnce);

/// True if nothing in the folder of a crash is obit's. Looks at a few hundred entries: one with more counts
/// as a crash, since to know better would take as long as its owner likes. So does one that cannot be looked
/// into, for whatever reason.
[[nodiscard]] bool HasNothingOfObit(const Fd& dir);

/// Suffix in incoming/: what Store::Remove() has taken away from readers.
inline constexpr std::string_view kRemovedSuffix = ".removed";
/// Crashes of the store `root` whose removal was cut short: names for GoOnRemoving().
[[nodiscard]] Result<std::vector<std::string>> HalfRemoved(const Fd& root);
/// Takes some more of one away, in milliseconds. EAGAIN: there is more. Other errors: what is left stays.
[[nodiscard]] Result<void> GoOnRemoving(const Fd& root, const std::string& name);

}  // namespace obit
