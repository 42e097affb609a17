#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"

namespace obit {

// Who may do what with a crash: the user that the store is of, that user's group and root everything; the
// owner of the crash may read its files, and add and remove files in its folder, by ACL (acl(5)). So a crash
// folder is a place where its owner can put anything: what obit reads there must be what obit wrote.

/// The user whom a crash belongs to. Nothing: a privileged process, one of which it is not known whether it
/// was, or one that was imported; such a crash has no owner.
[[nodiscard]] std::optional<uid_t> OwnerOf(const CrashRecord& record);

/// Gives the owner of a crash, and the group of the store, their rights to everything in `dir`, which nobody
/// else can reach yet (incoming/ID), and to `dir` itself. False: the file system knows no ACLs, and the owner
/// got no right.
[[nodiscard]] Result<bool> ShareCrash(const Fd& dir, const CrashRecord& record);
/// The same for one file of a crash that is open and has no name yet that others may know.
[[nodiscard]] Result<bool> ShareFile(const Fd& file, std::optional<uid_t> owner);

/// Opens a file of the crash folder `dir` for reading, if it is a regular file of the folder's user.
/// EPERM: it is not, and so not written by obit.
[[nodiscard]] Result<Fd> OpenGenuine(const Fd& dir, const std::string& name);

}  // namespace obit
