#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Reads `path` below `proc`, /proc: a file that the kernel makes as a whole for the first read(2)
/// (single_open() of fs/seq_file.c), so that no second one asks for its end. EMSGSIZE: it does not fit into
/// `room`, where the text lies.
[[nodiscard]] Result<std::string_view> ReadOnce(const Fd& proc, const std::string& path,
                                                std::span<char> room);

}  // namespace obit
