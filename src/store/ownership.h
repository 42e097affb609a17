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
/// user's server. `made` is the descriptor that it was made with: another of the same name may be of a file
/// that this user has put there. EPERM: it is not root's, or has other names, and so was not just made.
[[nodiscard]] Result<void> GiveToOwner(const Fd& root, const Fd& made);

/// Makes the folder `name` of mode `mode`, whatever the umask, for the user that `parent` is of. False: there
/// is one already.
[[nodiscard]] Result<bool> MakeFolder(const Fd& parent, const std::string& name, mode_t mode);

/// Opens the file `name` of the folder `dir`, and makes it, for its user alone, if it is not there; `flags`
/// are those of open(2), O_EXCL among them. One of root's that is there is given to that user only if it is
/// empty: it was left by a process that was killed. EPERM: as GiveToOwner.
[[nodiscard]] Result<Fd> MakePrivateFile(const Fd& dir, const std::string& name, int flags);

}  // namespace obit
