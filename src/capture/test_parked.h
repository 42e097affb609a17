#pragma once

// For tests: a process that stands still as one does that dumps core, and the core that a kernel sends of it.

#include <algorithm>
#include <csignal>
#include <cstring>
#include <functional>
#include <optional>

#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "base/io.h"
#include "capture/fake_kernel.h"
#include "elf/core_layout.h"
#include "kernel/mappings.h"
#include "kernel/process_memory.h"
#include "store/test_support.h"

namespace obit::testing {

inline constexpr std::size_t kHeap = 8 << 20, kMarked = 3 << 20, kExcluded = 5 << 20, kLeftOut = 6 << 20;
inline constexpr std::size_t kExcludedBytes = 64 << 10;

/// A process that stands still, like one that dumps core: a stack, and a heap in which two pages are pointed
/// to, one of them in memory that is not to be dumped.
class Parked {
 public:
  /// `reserved`: bytes that it has and does not use. `noise`: what is behind kHeap does not compress.
  explicit Parked(std::size_t heap = kHeap, std::size_t reserved = 0, bool noise = false)
      : sp_(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) / 16 * 16) {
    heap_ =
        static_cast<char*>(::mmap(nullptr, heap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(::madvise(heap_, heap, MADV_NOHUGEPAGE), 0);
    std::memset(heap_, 'h', heap);
    if (noise) std::ranges::copy(Noise(heap - kHeap, 1), reinterpret_cast<std::byte*>(heap_) + kHeap);
    std::memcpy(heap_ + kMarked, "marked", 7);
    EXPECT_EQ(::madvise(heap_ + kExcluded, kExcludedBytes, MADV_DONTDUMP), 0);
    void* unused = reserved == 0 ? nullptr
                                 : ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(unused, MAP_FAILED);
    process_.emplace(::fork());
    if (process_->pid() == 0)
      for (;;) ::pause();
    ::munmap(heap_, heap);
    if (unused != nullptr) ::munmap(unused, reserved);
    memory_ = Open();
    mappings_ = *ReadMappings(memory_.maps);
  }
  Parked(Parked&&) = delete;
  [[nodiscard]] ProcessMemory Open() const {
    return *OpenProcessMemory(*obit::Open(fmt::format("/proc/{}", pid()), O_RDONLY | O_DIRECTORY));
  }
  void End() {
    if (process_->pid() > 0) ::kill(process_->pid(), SIGKILL);
    process_->Wait();
  }
  [[nodiscard]] const ProcessMemory& memory() const { return memory_; }
  [[nodiscard]] ProcessMemory TakeMemory() { return std::move(memory_); }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  [[nodiscard]] std::uint64_t heap() const { return reinterpret_cast<std::uintptr_t>(heap_); }
  [[nodiscard]] std::uint64_t sp() const { return sp_; }

  [[nodiscard]] Bytes Notes(bool of_stack_only = false) const {
    prstatus_t status{};
    status.pr_pid = process_->pid();
    user_regs_struct registers{};
    registers.rsp = sp_;
    registers.fs_base = control_block_;
    registers.rdi = heap() + kMarked;
    registers.rsi = heap() + kExcluded + 256;
    std::memcpy(&status.pr_reg, &registers, sizeof registers);
    CoreBuilder notes(EM_X86_64);
    notes.AddNote("CORE", NT_PRSTATUS, std::as_bytes(std::span(&status, 1)));
    if (of_stack_only) notes.AddNote("LINUX", NT_X86_XSTATE, Bytes(2 << 20));
    CoreHead head(NoteKeeper(4 << 20, 4 << 20));
    head.Feed(notes.Build());
    return {head.notes().begin(), head.notes().end()};
  }
  /// The core that a kernel would send of it: what its files hold, that has not.
  [[nodiscard]] CoreLayout Core(bool sorted = true, bool of_stack_only = false) const {
    std::vector<CoreRun> runs;
    for (const Mapping& one : mappings_) {
      const bool dumped =
          one.inode == 0 && !one.executable && !one.name.starts_with("[v") && one.begin != heap() + kExcluded;
      // What a sanitizer reserves is not for a test.
      const std::uint64_t bytes = std::min<std::uint64_t>(one.end - one.begin, 64 << 20);
      const bool wanted = !of_stack_only || (one.begin <= sp_ && sp_ < one.end);
      runs.push_back({one.begin, bytes, dumped && wanted ? bytes : 0,
                      static_cast<std::uint32_t>(one.executable ? PF_R | PF_X : PF_R | PF_W)});
    }
    if (!sorted) std::ranges::reverse(runs);
    return {ElfClass::k64, EM_X86_64, Notes(of_stack_only), std::move(runs)};
  }

 private:
  std::uint64_t sp_;
  const std::uint64_t control_block_ = reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer());
  char* heap_ = nullptr;
  std::optional<Child> process_;
  ProcessMemory memory_;
  std::vector<Mapping> mappings_;
};

/// Sends `core`, with `memory` for each byte of its runs.
inline std::function<void(Fd&)> Sending(const CoreLayout& core, std::byte memory) {
  return [&core, memory](Fd& server) {
    if (!WriteAll(server, core.Head())) return;
    const Bytes bytes(1 << 20, memory);
    for (const CoreRun& run : core.runs())
      for (std::uint64_t left = run.file_bytes; left > 0;) {
        const std::uint64_t n = std::min<std::uint64_t>(left, bytes.size());
        if (!WriteAll(server, std::span(bytes).first(n))) return;
        left -= n;
      }
    AwaitRelease(server);
  };
}

}  // namespace obit::testing
