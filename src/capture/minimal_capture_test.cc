#include <cstring>
#include <optional>

#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "base/io.h"
#include "capture/fake_kernel.h"
#include "capture/minimal.h"
#include "elf/core_layout.h"
#include "store/core_reader.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::FailsWith;
using testing::MemoryFile;
using testing::Succeeds;

constexpr std::size_t kHeap = 8 << 20, kMarked = 3 << 20, kExcluded = 5 << 20, kLeftOut = 6 << 20;
constexpr std::size_t kExcludedBytes = 64 << 10;

/// A process that stands still, like one that dumps core: a stack, and a heap in which two pages are pointed
/// to, one of them in memory that is not to be dumped.
class Parked {
 public:
  Parked() : sp_(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) / 16 * 16) {
    heap_ = static_cast<char*>(
        ::mmap(nullptr, kHeap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(::madvise(heap_, kHeap, MADV_NOHUGEPAGE), 0);
    std::memset(heap_, 'h', kHeap);
    std::memcpy(heap_ + kMarked, "marked", 7);
    EXPECT_EQ(::madvise(heap_ + kExcluded, kExcludedBytes, MADV_DONTDUMP), 0);
    process_.emplace(::fork());
    if (process_->pid() == 0)
      for (;;) ::pause();
    ::munmap(heap_, kHeap);
    const Fd dir = *Open(fmt::format("/proc/{}", process_->pid()), O_RDONLY | O_DIRECTORY);
    memory_ = *OpenProcessMemory(dir);
    mappings_ = *ReadMappings(memory_.maps);
  }
  Parked(Parked&&) = delete;
  void End() {
    ::kill(process_->pid(), SIGKILL);
    process_->Wait();
  }
  [[nodiscard]] const ProcessMemory& memory() const { return memory_; }
  [[nodiscard]] ProcessMemory TakeMemory() { return std::move(memory_); }
  [[nodiscard]] std::uint64_t heap() const { return reinterpret_cast<std::uintptr_t>(heap_); }
  [[nodiscard]] std::uint64_t sp() const { return sp_; }

  /// The core that a kernel would send of it: what its files hold, that has not.
  [[nodiscard]] CoreLayout Core(bool sorted = true, bool of_stack_only = false) const {
    prstatus_t status{};
    status.pr_pid = process_->pid();
    user_regs_struct registers{};
    registers.rsp = sp_;
    registers.rdi = heap() + kMarked;
    registers.rsi = heap() + kExcluded + 256;
    std::memcpy(&status.pr_reg, &registers, sizeof registers);
    CoreBuilder notes(EM_X86_64);
    notes.AddNote("CORE", NT_PRSTATUS, std::as_bytes(std::span(&status, 1)));
    if (of_stack_only) notes.AddNote("LINUX", NT_X86_XSTATE, Bytes(2 << 20));
    CoreHead head(NoteKeeper(4 << 20, 4 << 20));
    head.Feed(notes.Build());
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
    return {ElfClass::k64, EM_X86_64, {head.notes().begin(), head.notes().end()}, std::move(runs)};
  }

 private:
  std::uint64_t sp_;
  char* heap_ = nullptr;
  std::optional<testing::Child> process_;
  ProcessMemory memory_;
  std::vector<Mapping> mappings_;
};

/// Sends `core`, with `memory` for each byte of its runs.
std::function<void(Fd&)> Sending(const CoreLayout& core, std::byte memory) {
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

/// One capture, and what it stored.
class MinimalCaptureTest : public ::testing::Test {
 protected:
  Result<void> Run(const std::function<void(Fd&)>& kernel, const ProcessMemory* memory,
                   std::uint64_t core_max = UINT64_MAX) {
    FakeKernel crash(kernel);
    Fd connection = crash.TakeServer();
    std::atomic<std::uint64_t> progress{0};
    capture_ = {};
    file_ = MemoryFile();
    CoreWriter writer(file_, {});
    const CaptureDeadlines deadlines;
    CoreStream stream(connection, deadlines, progress);
    CoreHead head = HeadForMinimal();
    auto captured = CaptureMinimal(head, stream, writer, memory, core_max, progress, capture_);
    EXPECT_THAT(writer.Finish(), Succeeds());
    connection.Reset();
    if (captured) {
      stored_.emplace(*CoreReader::Open(*Duplicate(file_)));
      made_ = HeadForMinimal();
      Bytes bytes(std::min<std::uint64_t>(stored_->size(), 4 << 20));
      EXPECT_EQ(*stored_->ReadAt(0, bytes), bytes.size());
      made_.Feed(bytes);
      EXPECT_TRUE(made_.complete());
      EXPECT_EQ(made_.core_bytes(), stored_->size());
      EXPECT_EQ(capture_.promised_bytes, stored_->size());
    }
    return captured;
  }

  /// What the stored core has at an address: nothing if that was left out.
  std::optional<std::byte> At(std::uint64_t address) {
    for (const CoreHead::Segment& segment : made_.segments()) {
      std::byte byte{};
      if (address < segment.address || address - segment.address >= segment.bytes) continue;
      EXPECT_EQ(*stored_->ReadAt(segment.offset + (address - segment.address), std::span(&byte, 1)), 1U);
      return byte;
    }
    return std::nullopt;
  }

  CrashRecord::Capture capture_;
  Fd file_;
  std::optional<CoreReader> stored_;
  CoreHead made_;
};

TEST_F(MinimalCaptureTest, ReadsWhatItNeedsFromTheProcess) {
  const Parked process;
  const CoreLayout core = process.Core();
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory()), Succeeds());
  EXPECT_EQ(capture_.method, CaptureMethod::kDirect);
  EXPECT_EQ(capture_.full_bytes, core.core_bytes());
  EXPECT_LT(stored_->size(), 8U << 20) << "with a sanitizer a program has more data";
  EXPECT_EQ(At(process.heap() + kMarked), std::byte{'m'});
  EXPECT_EQ(At(process.heap() + kLeftOut), std::nullopt);
  EXPECT_NE(At(process.sp()), std::nullopt);
  EXPECT_EQ(At(process.heap() + kExcluded), std::nullopt) << "MADV_DONTDUMP";
  const CoreNotes notes = ParseCoreNotes(made_.notes(), made_.elf_class(), made_.machine());
  ASSERT_TRUE(notes.mappings);
  EXPECT_EQ(notes.mappings->size(), core.runs().size());
  EXPECT_EQ(notes.threads.size(), 1U);
}

TEST_F(MinimalCaptureTest, TakesWhatTheHeadPromisesFromTheStream) {
  const Parked process;
  for (const bool sorted : {true, false}) {  // kernel.core_sort_vma
    const CoreLayout core = process.Core(sorted);
    ASSERT_THAT(Run(Sending(core, std::byte{'s'}), nullptr), Succeeds());
    EXPECT_EQ(capture_.method, CaptureMethod::kStream);
    EXPECT_EQ(capture_.full_bytes, core.core_bytes());
    EXPECT_EQ(At(process.sp()), std::byte{'s'});
    EXPECT_EQ(At(process.heap() + kLeftOut), std::nullopt);
  }
}

TEST_F(MinimalCaptureTest, KeepsASmallCoreWhole) {
  const Bytes core = SmallCore(600'000);
  ASSERT_THAT(Run([&](Fd& server) { (void)SendCore(server, core); }, nullptr), Succeeds());
  EXPECT_EQ(capture_.full_bytes, std::nullopt);
  Bytes stored(core.size());
  EXPECT_EQ(*stored_->ReadAt(0, stored), core.size());
  EXPECT_EQ(stored, core);
}

TEST_F(MinimalCaptureTest, TakesFromTheStreamWhatTheKernelMayHaveSent) {
  const Parked process;
  const CoreLayout core = process.Core(true, true);
  ASSERT_GT(core.core_bytes(), kWholeCoreMax);
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory()), Succeeds());
  EXPECT_EQ(capture_.method, CaptureMethod::kStream);
  EXPECT_EQ(At(process.sp()), std::byte{'s'});
}

TEST_F(MinimalCaptureTest, FitsIntoTheCoreLimit) {
  const Parked process;
  const CoreLayout core = process.Core();
  const std::uint64_t limit = 128 << 10;
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory(), limit), Succeeds());
  EXPECT_LE(stored_->size(), limit);
  EXPECT_NE(At(process.sp()), std::nullopt);
  EXPECT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory(), 4096), FailsWith(EFBIG));
  EXPECT_EQ(capture_.full_bytes, std::nullopt);
}

TEST_F(MinimalCaptureTest, FailsIfTheProcessIsGone) {
  Parked process;
  const CoreLayout core = process.Core();
  ProcessMemory memory = process.TakeMemory();
  Bytes maps(1 << 20);  // as they were read a moment before
  maps.resize(*ReadFullAt(memory.maps, maps, 0));
  memory.maps = MemoryFile(maps);
  process.End();
  EXPECT_THAT(Run(Sending(core, std::byte{'s'}), &memory), FailsWith(ESRCH));
}

TEST_F(MinimalCaptureTest, SaysWhereTheStreamEndsWithinTheHead) {
  const Parked process;
  const Bytes head = process.Core().Head();
  for (const std::size_t n : {std::size_t{0}, std::size_t{30}, std::size_t{200}, head.size() / 2}) {
    const auto cut = [&](Fd& server) { (void)SendCore(server, std::span(head).first(n)); };
    EXPECT_FALSE(Run(cut, &process.memory())) << n;
  }
}

}  // namespace
}  // namespace obit
