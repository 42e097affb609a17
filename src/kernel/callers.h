#pragma once

#include <cstdint>

#include <sys/types.h>

#include "base/fd.h"

namespace obit {

/// Tells apart what crashes at one place that much else calls, such as abort(3): a hash of the first words on
/// a stack, from `sp` on, that point into the program's own code, from `code_begin` to `code_end`; 0: there
/// are none, or they cannot be read. Return addresses of the program's frames are among them, but so may be
/// what earlier calls left: the same crash may have another hash now and then, and a process chooses its own.
///
/// Reads at most kCallersBytes of memory that is there (present pages): waits for no swap, and for nobody who
/// serves page faults. `proc` is a descriptor of /proc, `tid` a thread.
[[nodiscard]] std::uint64_t CallersOf(const Fd& proc, pid_t tid, std::uint64_t sp, std::uint64_t code_begin,
                                      std::uint64_t code_end);

inline constexpr std::uint64_t kCallersBytes = 8192;

}  // namespace obit
