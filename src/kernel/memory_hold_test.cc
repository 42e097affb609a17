#include "kernel/memory_hold.h"

#include <cstring>

#include <sys/mman.h>

#include "base/io.h"
#include "base/test_support.h"
#include "kernel/process_memory.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using testing::Succeeds;

constexpr std::size_t kBytes = 8 << 20;

/// A child with memory of its own, at the same address as here.
class MemoryHoldTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto device = Open("/dev/userfaultfd", O_RDWR);
    if (!device) GTEST_SKIP() << "/dev/userfaultfd cannot be opened: " << device.error().what;
    device_ = std::move(*device);
    child_.emplace(::fork());
    if (child_->pid() == 0) {
      std::memset(memory_, 0x5a, kBytes);
      ::kill(::getpid(), SIGSTOP);
      ::pause();
    }
    ::waitpid(child_->pid(), nullptr, WUNTRACED);
    memory_of_child_ =
        *OpenProcessMemory(*Open(fmt::format("/proc/{}", child_->pid()), O_RDONLY | O_DIRECTORY));
  }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(memory_); }
  /// The child's memory can be read, and has what the child wrote.
  [[nodiscard]] bool IsThere() const {
    std::vector<std::byte> bytes(kBytes);
    return ReadProcessMemory(memory_of_child_.mem, address(), bytes) &&
           std::ranges::all_of(bytes, [](std::byte one) { return one == std::byte{0x5a}; });
  }

  void* const memory_ = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Fd device_;
  std::optional<Child> child_;
  ProcessMemory memory_of_child_;
};

TEST_F(MemoryHoldTest, TheMemoryOutlivesTheProcess) {
  auto hold = MemoryHold::Take(memory_of_child_.mem, address(), device_);
  ASSERT_THAT(hold, Succeeds());
  child_.reset();  // killed and reaped
  EXPECT_TRUE(IsThere());
  const auto pages = ScanPages(memory_of_child_.pagemap, PageKind::kFilled, address(), address() + kBytes);
  ASSERT_THAT(pages, Succeeds());
  EXPECT_EQ(pages->runs, (std::vector{MemoryRun{address(), address() + kBytes}}));
  {
    const MemoryHold gone = std::move(*hold);
  }
  EXPECT_FALSE(HasMemory(memory_of_child_.mem, address())) << "let go";
}

TEST_F(MemoryHoldTest, WithoutItTheMemoryIsGone) {
  child_.reset();
  EXPECT_THAT(MemoryHold::Take(memory_of_child_.mem, address(), device_), FailsWith(ESRCH));
}

TEST_F(MemoryHoldTest, NeedsAnAddressThatCanBeRead) {
  EXPECT_THAT(MemoryHold::Take(memory_of_child_.mem, 0, device_), FailsWith(EIO));
  EXPECT_TRUE(IsThere());
}

TEST_F(MemoryHoldTest, NeedsTheDevice) {
  EXPECT_THAT(MemoryHold::Take(memory_of_child_.mem, address(), *Open("/dev/null", O_RDWR)),
              FailsWith(EOPNOTSUPP));
}

TEST_F(MemoryHoldTest, ManyHoldOneMemory) {
  std::vector<MemoryHold> holds;
  for (int i = 0; i < 20; ++i) holds.push_back(*MemoryHold::Take(memory_of_child_.mem, address(), device_));
  child_.reset();
  while (holds.size() > 1) holds.pop_back();
  EXPECT_TRUE(IsThere());
}

}  // namespace
}  // namespace obit
