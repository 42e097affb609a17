#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/capabilities.h"
#include "base/result.h"

namespace obit {

/// A user to run as.
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
};
/// From the user database. Nothing: there is no such user.
[[nodiscard]] Result<std::optional<User>> FindUser(const std::string& name);

/// What an inspector keeps (capabilities(7)), each if it has it: to look into processes of others, to open
/// those files below /proc/PID that only their owner may open, and to have the files that they map whatever
/// became of their names (map_files).
[[nodiscard]] Capabilities InspectorCapabilities();
/// What the manager keeps: to end a process that stays after its release.
[[nodiscard]] Capabilities ManagerCapabilities();
/// What obitd keeps, for both.
[[nodiscard]] Capabilities ServerCapabilities();

/// Those of them that are among `capabilities`, for people: "CAP_SYS_PTRACE CAP_KILL".
[[nodiscard]] std::string NamesOf(Capabilities capabilities);

/// Becomes `user`, if one is given, and gives up all capabilities but ServerCapabilities() and everything
/// that an execve(2) could give, for good. The process is not dumpable afterwards. For the thread that calls:
/// the caller has no other.
[[nodiscard]] Result<void> DropPrivileges(const std::optional<User>& user);

/// What obitd cannot do for want of capabilities, for people; empty if it can do everything.
[[nodiscard]] std::string MissingRights(Capabilities effective);

}  // namespace obit
