#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// The GNU build-id of an ELF executable or library, lower-case hex; empty if it has none. Bounded reads of
/// an untrusted file. EBADMSG: not an ELF file of this machine's byte order.
[[nodiscard]] Result<std::string> ReadBuildId(const Fd& file);

/// The same from the beginning of a 64-bit ELF file, as it lies in memory; empty also if `head` ends before
/// it.
[[nodiscard]] std::string FindBuildIdInHead(std::span<const std::byte> head);

}  // namespace obit
