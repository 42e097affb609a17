#pragma once

#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Gives a folder that root made, a store, with everything in it that is root's, to the user that is to write
/// it from now on. Nothing to do where it is that user's already. EPERM: it is of a third one. A link is not
/// followed, and a file with several names stays as it is: one of them may be elsewhere.
[[nodiscard]] Result<void> GiveFolderTo(const std::string& path, uid_t uid, gid_t gid);

/// Gives what root has just made in the store `root` to the user that the store is of: it would lock out that
/// user's server. EPERM: it is a file that has other names, and so not one that was just made.
[[nodiscard]] Result<void> GiveToOwner(const Fd& root, const Fd& made);

}  // namespace obit
