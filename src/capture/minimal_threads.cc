#include "capture/minimal_threads.h"

#include <algorithm>
#include <array>

#include <elf.h>

namespace obit {
namespace {

/// How far below its stack an overflow may have brought the stack pointer: the kernel keeps 256 pages free
/// there.
constexpr std::uint64_t kOverflow = 1 << 20;
/// struct pthread of glibc is smaller (2.36: 2,368 bytes), and so is that of musl.
constexpr std::uint64_t kControlBlock = 4096;
/// Thread-local variables of a program and of the libraries it begins with, below the control block, bytes.
constexpr std::uint64_t kStaticVariables = 64 * 1024;
/// Entries of the vector of thread-local variables, dtv_t of glibc: a pointer and another.
constexpr std::uint64_t kVectorMax = 1024, kVectorEntry = 16;
/// How far an alternate stack is searched, bytes: what the kernel put on it is at its end.
constexpr std::uint64_t kAlternateStack = 64 * 1024;
/// Threads for which that is done: a program of coroutines has thousands, and no such stack.
constexpr std::size_t kSearchesMax = 128;

}  // namespace

MinimalThreads::MinimalThreads(KeptMemory& memory, const CoreNotes& notes) : memory_(memory), notes_(notes) {}

std::uint64_t MinimalThreads::ControlBlockOf(const CoreNotes& notes, const CoreNotes::Thread& thread) {
  const Architecture* arch = notes.arch;
  const bool known =
      arch != nullptr && arch->thread_pointer && thread.registers.size() == arch->register_count;
  return known ? thread.registers[*arch->thread_pointer] : 0;
}

/// The mapping of the stack that the thread began on.
const ProcessMapping* MinimalThreads::HomeOf(const CoreNotes::Thread& thread) const {
  if (notes_.process && notes_.process->pid == thread.tid) {
    const auto random = notes_.auxv.find(AT_RANDOM);  // these bytes are above the first frame
    return random == notes_.auxv.end() ? nullptr : memory_.map().Find(random->second);
  }
  const std::uint64_t block = ControlBlockOf(notes_, thread);
  return block == 0 ? nullptr : memory_.map().Find(block);
}

void MinimalThreads::KeepStackFrom(std::uint64_t sp, std::uint64_t control_block, std::uint64_t max) {
  std::uint64_t begin = sp - std::min(sp, notes_.arch == nullptr ? 0 : notes_.arch->red_zone);
  const ProcessMapping* mapping = memory_.map().FindWritable(begin, kOverflow);
  if (mapping == nullptr) return;
  begin = std::max(begin, mapping->begin);
  std::uint64_t end = std::min(mapping->end, begin + std::min(max, UINT64_MAX - begin));
  // A thread's stack ends at its control block; what lies above it is another one's.
  if (control_block > sp && control_block > begin && control_block < end) end = control_block;
  memory_.Keep(begin, end - begin);
}

void MinimalThreads::KeepStack(const CoreNotes::Thread& thread, std::uint64_t max) {
  if (!thread.sp || *thread.sp < PageBytes()) return;  // it was lost: no stack is close to nothing
  const std::uint64_t sp = *thread.sp, block = ControlBlockOf(notes_, thread);
  KeepStackFrom(sp, block, max);
  const ProcessMapping* home = HomeOf(thread);
  const ProcessMapping* here = memory_.map().Find(sp);
  if (home == nullptr || here == nullptr || home == here || sp > UINT64_MAX - 8 || !memory_.can_read())
    return;
  const auto [known, is_new] = other_stacks_.try_emplace(thread.tid, UINT64_MAX);
  if (is_new && other_stacks_.size() <= kSearchesMax) known->second = LowestOn(*here, sp, *home, block);
  if (known->second != UINT64_MAX) KeepStackFrom(known->second, block, max);
}

/// The lowest address of the stack `home` that stands on the stack `here` is as far as that one had grown:
/// the stack pointer that the kernel saved is among them. UINT64_MAX: there is none.
std::uint64_t MinimalThreads::LowestOn(const ProcessMapping& here, std::uint64_t sp,
                                       const ProcessMapping& home, std::uint64_t block) {
  std::uint64_t lowest = UINT64_MAX;
  const std::uint64_t end = std::min(here.end, sp + std::min(kAlternateStack, UINT64_MAX - sp));
  for (std::uint64_t at = (sp + 7) / 8 * 8; at < end && !memory_.is_full(); at += 8) {
    const auto word = memory_.ReadWord(at);
    if (word && *word >= home.begin && *word < home.end && (block <= home.begin || *word < block))
      lowest = std::min(lowest, *word);
  }
  return lowest;
}

void MinimalThreads::KeepControlBlock(const CoreNotes::Thread& thread) {
  const std::uint64_t block = ControlBlockOf(notes_, thread);
  if (block != 0) memory_.Keep(block, std::min(kControlBlock, UINT64_MAX - block));
}

void MinimalThreads::KeepVariables(const CoreNotes::Thread& thread, std::uint64_t max) {
  const std::uint64_t block = ControlBlockOf(notes_, thread);
  const ProcessMapping* mapping = memory_.map().Find(block);
  if (block == 0 || mapping == nullptr || memory_.is_full()) return;
  std::uint64_t begin = std::max(mapping->begin, block - std::min({block, kStaticVariables, max}));
  if (thread.sp && *thread.sp >= mapping->begin && *thread.sp < block) begin = std::max(begin, *thread.sp);
  const std::uint64_t end = std::min(mapping->end, block + std::min(kControlBlock, UINT64_MAX - block));
  memory_.Keep(begin, end - begin);
  const auto vector = memory_.ReadWord(block + sizeof(std::uint64_t));
  if (!vector || *vector < kVectorEntry) return;
  const std::uint64_t count = std::min(memory_.ReadWord(*vector - kVectorEntry).value_or(0), kVectorMax) + 1;
  memory_.Keep(*vector - kVectorEntry, (count + 1) * kVectorEntry);
  for (std::uint64_t i = 1; i < count && !memory_.is_full(); ++i) {
    const auto variables = memory_.ReadWord(*vector + i * kVectorEntry);
    if (!variables) break;
    if (*variables < begin || *variables >= end) memory_.Keep(*variables, PageBytes());
  }
}

}  // namespace obit
