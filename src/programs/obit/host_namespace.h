#pragma once

#include <string>

namespace obit {

/// The namespace `kind` ("mnt", "pid", "net", "user") that the host booted into, as /proc shows it:
/// "mnt:[4026531832]". Empty where it cannot be seen.
[[nodiscard]] std::string HostNamespace(const std::string& kind);

/// The namespace of obit itself.
[[nodiscard]] std::string OwnNamespace(const std::string& kind);

}  // namespace obit
