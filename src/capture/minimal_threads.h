#pragma once

#include <cstdint>
#include <map>

#include <sys/types.h>

#include "capture/kept_memory.h"
#include "elf/core_notes.h"

namespace obit {

/// Finds what a minimal core keeps of threads.
class MinimalThreads {
 public:
  /// All outlive this object.
  MinimalThreads(KeptMemory& memory, const CoreNotes& notes);

  /// Keeps the stack from the stack pointer on, `max` bytes of it, and where it is an alternate one that of
  /// what the signal came to, too.
  void KeepStack(const CoreNotes::Thread& thread, std::uint64_t max);
  /// Keeps the thread's control block: struct pthread of glibc. Without one, libthread_db knows no thread.
  void KeepControlBlock(const CoreNotes::Thread& thread);
  /// Keeps the thread-local variables below the control block, `max` bytes of them, and the vector of those
  /// of libraries.
  void KeepVariables(const CoreNotes::Thread& thread, std::uint64_t max);

  /// Where the control block is: the base of segment FS, on x86-64. 0: not known.
  [[nodiscard]] static std::uint64_t ControlBlockOf(const CoreNotes& notes, const CoreNotes::Thread& thread);

 private:
  [[nodiscard]] const ProcessMapping* HomeOf(const CoreNotes::Thread& thread) const;
  void KeepStackFrom(std::uint64_t sp, std::uint64_t control_block, std::uint64_t max);
  [[nodiscard]] std::uint64_t LowestOn(const ProcessMapping& here, std::uint64_t sp,
                                       const ProcessMapping& home, std::uint64_t block);

  KeptMemory& memory_;
  const CoreNotes& notes_;
  std::map<pid_t, std::uint64_t> other_stacks_;  // of threads on an alternate one, where the first one ends
};

}  // namespace obit
