#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "process/privileges.h"

namespace obit {

/// Whom obitd becomes; nobody else if it is not root. The user database may be a server elsewhere: it has so
/// long to answer (ETIMEDOUT), and is asked once.
[[nodiscard]] Result<std::optional<User>> UserToBecome(const std::string& name);

}  // namespace obit
