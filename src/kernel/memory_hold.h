#pragma once

#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Keeps the memory of a process, whatever becomes of the process: it exits, its parent has its status, its
/// pid may be another's, and all of its memory can still be read by descriptors that were opened before
/// (ProcessMemory::mem, ::pagemap). It costs the one who holds it: who is killed lets go.
///
/// mem_rw() of fs/proc/base.c counts itself a user of the memory (mm_users) for the whole of a read, and
/// copies to the reader with copy_to_user(). The page that it copies to is registered with userfaultfd(2),
/// and nobody fills it: so the read stands there, with the memory, until this object is gone.
class MemoryHold {
 public:
  /// `mem` is /proc/PID/mem, open, and `address` one that can be read there. `device` is /dev/userfaultfd
  /// (Linux 6.1), open: an own right is not needed. EOPNOTSUPP: this kernel, or its configuration, has
  /// nothing of the kind. ESRCH: the memory is gone. EIO: there is nothing at that address.
  [[nodiscard]] static Result<MemoryHold> Take(const Fd& mem, std::uint64_t address, const Fd& device);
  MemoryHold(MemoryHold&&) noexcept;
  MemoryHold& operator=(MemoryHold&&) noexcept;
  /// Lets go. Where nobody else uses the memory, that frees it, which takes some 100 ms a GiB.
  ~MemoryHold();

 private:
  struct Reader;
  explicit MemoryHold(std::unique_ptr<Reader> reader);
  std::unique_ptr<Reader> reader_;
};

}  // namespace obit
