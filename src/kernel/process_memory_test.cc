#include "kernel/process_memory.h"

#include <cstring>

#include <sys/mman.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

/// 64 pages of anonymous private memory of this process.
class Pages {
 public:
  static constexpr std::size_t kCount = 64;
  Pages()
      : memory_(static_cast<char*>(::mmap(nullptr, kCount * PageBytes(), PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    EXPECT_EQ(::madvise(memory_, kCount * PageBytes(), MADV_NOHUGEPAGE), 0);
  }
  Pages(Pages&&) = delete;
  ~Pages() { ::munmap(memory_, kCount * PageBytes()); }
  [[nodiscard]] char* at(std::size_t page) const { return memory_ + page * PageBytes(); }
  [[nodiscard]] std::uint64_t address(std::size_t page) const {
    return reinterpret_cast<std::uintptr_t>(at(page));
  }
  [[nodiscard]] MemoryRun run(std::size_t first, std::size_t end) const {
    return {address(first), address(end)};
  }

 private:
  char* memory_;
};

ProcessMemory OfThisProcess() {
  const Fd dir = *Open("/proc/self", O_RDONLY | O_DIRECTORY);
  return *OpenProcessMemory(dir);
}

TEST(ProcessMemory, FindsThePagesThatHoldSomething) {
  const Pages pages;
  for (const std::size_t page : {3, 4, 5, 9, 63}) *pages.at(page) = 'x';
  const ProcessMemory memory = OfThisProcess();
  const std::vector expected{pages.run(3, 6), pages.run(9, 10), pages.run(63, 64)};
  const auto scan = ScanPages(memory.pagemap, PageKind::kFilled, pages.address(0), pages.address(64));
  ASSERT_THAT(scan, Succeeds());
  EXPECT_EQ(scan->end, pages.address(64));
  EXPECT_EQ(scan->runs, expected);

  const auto entries =
      ScanPagemapEntries(memory.pagemap, PageKind::kFilled, pages.address(0), pages.address(64));
  ASSERT_THAT(entries, Succeeds());
  EXPECT_EQ(entries->end, pages.address(64));
  EXPECT_EQ(entries->runs, expected);
}

TEST(ProcessMemory, SkipsTheZeroPage) {
  const Pages pages;
  for (const std::size_t page : {10, 20}) {
    volatile char looked = *pages.at(page);
    (void)looked;
  }
  const ProcessMemory memory = OfThisProcess();
  std::array<std::uint64_t, 11> entries{};
  ASSERT_THAT(ReadFullAt(memory.pagemap, std::as_writable_bytes(std::span(entries)),
                         pages.address(10) / PageBytes() * sizeof entries[0]),
              Succeeds());
  // A kernel may give each reader a page of its own (mm_forbids_zeropage()).
  const bool is_zero_page = entries[0] == entries[10];
  const auto scan = ScanPages(memory.pagemap, PageKind::kFilled, pages.address(0), pages.address(64));
  ASSERT_THAT(scan, Succeeds());
  EXPECT_EQ(scan->runs.size(), is_zero_page ? 0u : 2u);
}

TEST(ProcessMemory, TellsWhatWasWrittenFromWhatTheFileHas) {
  const Fd file(::memfd_create("pages", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(8 * PageBytes())), 0);
  void* mapped = ::mmap(nullptr, 8 * PageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* pages = static_cast<volatile char*>(mapped);
  for (const std::size_t page : {0, 1, 2, 5}) (void)pages[page * PageBytes()];
  for (const std::size_t page : {2, 3}) pages[page * PageBytes()] = 'x';
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped), end = begin + 8 * PageBytes();
  const ProcessMemory memory = OfThisProcess();
  const std::vector written{MemoryRun{begin + 2 * PageBytes(), begin + 4 * PageBytes()}};
  for (auto* scan_by : {&ScanPages, &ScanPagemapEntries}) {
    const auto changed = (*scan_by)(memory.pagemap, PageKind::kChanged, begin, end);
    ASSERT_THAT(changed, Succeeds());
    EXPECT_EQ(changed->runs, written);
    const auto present = (*scan_by)(memory.pagemap, PageKind::kPresent, begin, end);
    ASSERT_THAT(present, Succeeds());
    ASSERT_FALSE(present->runs.empty());
    EXPECT_EQ(present->runs.front().begin, begin);
  }
  ::munmap(mapped, 8 * PageBytes());
}

TEST(ProcessMemory, FindsThemInRangesOfAnySize) {
  const Pages pages;
  const auto is_filled = [](std::size_t page) { return page % 3 != 1; };
  for (std::size_t page = 0; page < Pages::kCount; ++page)
    if (is_filled(page)) *pages.at(page) = 'x';
  const ProcessMemory memory = OfThisProcess();
  for (std::size_t first = 0; first < 4; ++first)
    for (std::size_t end = first + 1; end <= Pages::kCount; ++end) {
      const auto scan =
          ScanPages(memory.pagemap, PageKind::kFilled, pages.address(first), pages.address(end));
      ASSERT_THAT(scan, Succeeds());
      EXPECT_EQ(scan->end, pages.address(end)) << first << " to " << end;
      std::vector<MemoryRun> expected;
      for (std::size_t page = first; page < end; ++page) {
        if (!is_filled(page)) continue;
        if (!expected.empty() && expected.back().end == pages.address(page))
          expected.back().end = pages.address(page + 1);
        else
          expected.push_back(pages.run(page, page + 1));
      }
      EXPECT_EQ(scan->runs, expected) << first << " to " << end;
    }
}

TEST(ProcessMemory, ScansInBoundedSteps) {
  const std::size_t count = 10'000;
  auto* memory = static_cast<char*>(::mmap(nullptr, count * PageBytes(), PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(::madvise(memory, count * PageBytes(), MADV_NOHUGEPAGE), 0);
  for (std::size_t page = 0; page < count; page += 2) memory[page * PageBytes()] = 1;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory), end = begin + count * PageBytes();
  const ProcessMemory self = OfThisProcess();
  std::size_t runs = 0, steps = 0;
  for (std::uint64_t at = begin; at < end; ++steps) {
    const auto scan = ScanPages(self.pagemap, PageKind::kFilled, at, end);
    ASSERT_THAT(scan, Succeeds());
    for (const MemoryRun& run : scan->runs) {
      EXPECT_EQ((run.begin - begin) % (2 * PageBytes()), 0u);
      EXPECT_EQ(run.end - run.begin, PageBytes());
    }
    runs += scan->runs.size();
    at = scan->end;
  }
  EXPECT_EQ(runs, count / 2);
  EXPECT_GT(steps, 1u);
  ::munmap(memory, count * PageBytes());
}

TEST(ProcessMemory, ReadsAroundPagesThatTheKernelRefuses) {
  const Pages pages;
  std::memset(pages.at(0), 'a', 8 * PageBytes());
  ::munmap(pages.at(2), PageBytes());
  ::mprotect(pages.at(4), PageBytes(), PROT_NONE);  // its content is there all the same
  const ProcessMemory memory = OfThisProcess();
  std::vector<std::byte> read(8 * PageBytes() - 10, std::byte{'-'});
  const auto unread = ReadProcessMemory(memory.mem, pages.address(0) + 5, read);
  ASSERT_THAT(unread, Succeeds());
  EXPECT_EQ(*unread, PageBytes());
  EXPECT_EQ(std::ranges::count(read, std::byte{0}), static_cast<long>(PageBytes()));
  EXPECT_EQ(read[2 * PageBytes() - 5], std::byte{0});
  EXPECT_EQ(read[4 * PageBytes()], std::byte{'a'});
}

TEST(ProcessMemory, KnowsWhenTheProcessIsGone) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const Fd dir = *Open(fmt::format("/proc/{}", child), O_RDONLY | O_DIRECTORY);
  const ProcessMemory memory = *OpenProcessMemory(dir);
  const int local = 1;
  const auto address = reinterpret_cast<std::uintptr_t>(&local);
  EXPECT_TRUE(HasMemory(memory.mem, address));
  EXPECT_TRUE(HasMemory(memory.mem, 0)) << "although nothing is mapped there";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(HasMemory(memory.mem, address));
  std::array<std::byte, 10> room{};
  EXPECT_THAT(ReadProcessMemory(memory.mem, address, room), FailsWith(ESRCH));
}

}  // namespace
}  // namespace obit
