#pragma once

#include <string>

#include <sys/types.h>

namespace obit {

/// The name that this host gives to a user or group; the number where it has none. Fit for a terminal.
[[nodiscard]] std::string UserName(uid_t uid);
[[nodiscard]] std::string GroupName(gid_t gid);

}  // namespace obit
