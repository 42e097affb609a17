#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"

namespace obit {

// Who may do what in a store. All of it belongs to the user that the store is of, and what root makes is
// given to that user (store/ownership.h). Everybody may look up what is theirs in the folders above the
// crashes, whose names say nothing. A crash that is being written, and the files beside the crashes, are for
// that user alone.
//
// A crash that is committed can be read by its owner, and by the group of the store; the owner may also add
// and remove files in its folder, by ACL (acl(5)). So a crash folder is a place where its owner can put
// anything: what obit reads there must be what obit wrote.
inline constexpr mode_t kPublicFolder = 0755;   ///< the store, crashes/, crashes/DAY
inline constexpr mode_t kPrivateFolder = 0700;  ///< incoming/, incoming/ID, numbers/
inline constexpr mode_t kPrivateFile = 0600;    ///< index.db, numbers/*, reserve; files of incoming/ID
inline constexpr mode_t kCrashFolder = 0750;    ///< crashes/DAY/ID, with its owner's ACL
inline constexpr mode_t kCrashFile = 0640;      ///< a file in there, with its owner's ACL
inline constexpr mode_t kPublicFile = 0644;     ///< metrics.prom

/// The user whom a crash belongs to. Nothing: a privileged process, one of which it is not known whether it
/// was, or one that was imported; such a crash has no owner.
using CrashOwner = std::optional<uid_t>;
[[nodiscard]] CrashOwner OwnerOf(const CrashRecord& record);

/// Gives the owner of a crash, and the group of the store, their rights to record, core and program in `dir`,
/// which nobody else can reach yet (incoming/ID), and to `dir` itself. False: the file system knows no ACLs,
/// and the owner got no right.
[[nodiscard]] Result<bool> ShareCrash(const Fd& dir, const CrashRecord& record);
/// Takes all rights to `dir` from everybody but its user, if it can, after ShareCrash() failed within.
void KeepForRoot(const Fd& dir);
/// The same as ShareCrash() for one file of a crash that is open and has no name yet that others may know.
[[nodiscard]] Result<bool> ShareFile(const Fd& file, CrashOwner owner);

/// The user whom ShareCrash() gave rights to the folder `dir`: the owner, as far as that can be told without
/// the record.
[[nodiscard]] CrashOwner OwnerByRights(const Fd& dir);

/// Opens a file of the crash folder `dir` for reading, if it is a regular file of the folder's user.
/// EPERM: it is not, and so not written by obit.
[[nodiscard]] Result<Fd> OpenGenuine(const Fd& dir, const std::string& name);

/// True if a file of a crash could not be loaded since there is none that anybody can read, now or later: it
/// is absent, damaged, of an unknown version, or not obit's, as what is mounted over it. Any other error
/// (EIO, ENFILE, EACCES, ...) says nothing of the file: the next try, or another reader, may find it.
[[nodiscard]] bool SaysThereIsNone(const Error& error);

}  // namespace obit
