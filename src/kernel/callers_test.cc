#include "kernel/callers.h"

#include <cstring>
#include <initializer_list>
#include <span>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "kernel/process_memory.h"

namespace obit {
namespace {

constexpr std::uint64_t kCode = 0x555500000000, kCodeBytes = 0x1000;

/// Four pages for a stack, none of which is there until it is written.
class CallersTest : public ::testing::Test {
 protected:
  ~CallersTest() override { ::munmap(stack_, kPages * PageBytes()); }

  void Write(std::size_t at, std::initializer_list<std::uint64_t> words) {
    std::memcpy(stack_ + at, std::data(words), words.size() * sizeof(std::uint64_t));
  }
  [[nodiscard]] std::uint64_t Callers(std::size_t at = 0, std::uint64_t code = kCode) const {
    return CallersOf(proc_, ::getpid(), reinterpret_cast<std::uintptr_t>(stack_) + at, code,
                     code + kCodeBytes);
  }

  static constexpr std::size_t kPages = 4;
  const Fd proc_ = *Open("/proc", O_RDONLY | O_DIRECTORY);
  char* const stack_ = static_cast<char*>(
      ::mmap(nullptr, kPages* PageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
};

TEST_F(CallersTest, AreTheFirstWordsThatPointIntoTheProgram) {
  EXPECT_EQ(Callers(), 0u) << "nothing is there";
  Write(0, {1, 2, 3});
  EXPECT_EQ(Callers(), 0u) << "nor is anything of the program";
  Write(8, {kCode + 5, 7, kCode + 9, kCode + kCodeBytes, kCode, 8, kCode + 11, kCode + 12});
  const std::uint64_t callers = Callers();
  EXPECT_NE(callers, 0u);
  Write(8 * 20, {kCode + 77});
  EXPECT_EQ(Callers(), callers) << "behind the fourth nothing counts";
  Write(0, {99, kCode + 5, 7, kCode + 9, kCode + kCodeBytes, kCode, 12345});
  EXPECT_EQ(Callers(), callers) << "what else is there does not";
  Write(8 * 7, {kCode + 10});
  EXPECT_NE(Callers(), callers);
}

TEST_F(CallersTest, AreTheSameWhereverTheProgramIs) {
  Write(0, {kCode + 5, kCode + 9});
  const std::uint64_t callers = Callers();
  Write(0, {kCode * 2 + 5, kCode * 2 + 9});
  EXPECT_EQ(Callers(0, kCode * 2), callers);
  EXPECT_EQ(Callers(), 0u);
}

TEST_F(CallersTest, TheWordsOfA32BitProcessAreHalfAsLong) {
  constexpr std::uint64_t kLow = 0x8048000;
  Write(0, {(kLow + 5) << 32 | (kLow + 3)});
  const std::uint64_t callers = Callers(0, kLow);
  Write(0, {kLow + 3, kLow + 5});
  EXPECT_EQ(Callers(0, kLow), callers);
}

TEST_F(CallersTest, NoPageIsWaitedFor) {
  const std::size_t page = PageBytes();
  Write(0, {kCode + 5});
  const std::uint64_t first = Callers();
  Write(2 * page, {kCode + 9});
  EXPECT_EQ(Callers(), first) << "the page between is not there";
  EXPECT_EQ(Callers(page), 0u);
  unsigned char present[kPages] = {};
  ASSERT_EQ(::mincore(stack_, kPages * page, present), 0);
  EXPECT_EQ(present[1] & 1, 0) << "nor did it come";
  Write(page, {0});
  EXPECT_EQ(Callers(), first) << "8 KiB are looked at";
  Write(page, {kCode + 9});
  EXPECT_NE(Callers(), first);
}

TEST_F(CallersTest, OfWhatCannotBeReadThereAreNone) {
  for (const std::uint64_t sp :
       {std::uint64_t{0}, std::uint64_t{4096}, UINT64_MAX - 7, std::uint64_t{1} << 62})
    EXPECT_EQ(CallersOf(proc_, ::getpid(), sp, kCode, kCode + kCodeBytes), 0u) << sp;
  EXPECT_EQ(CallersOf(proc_, INT32_MAX, reinterpret_cast<std::uintptr_t>(stack_), kCode, kCode + kCodeBytes),
            0u);
}

}  // namespace
}  // namespace obit
