#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// The GNU build-id of an ELF executable or library, lower-case hex; empty if it has none. Bounded reads of
/// an untrusted file. EBADMSG: not an ELF file of this machine's byte order.
[[nodiscard]] Result<std::string> ReadBuildId(const Fd& file);

}  // namespace obit
