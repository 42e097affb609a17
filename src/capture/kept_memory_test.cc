#include "capture/kept_memory.h"

#include <cstring>
#include <random>

#include <elf.h>
#include <gtest/gtest.h>

#include "elf/core_builder.h"

namespace obit {
namespace {

TEST(AddressSet, CountsWhatIsNew) {
  // Against a plain list of which pages are in it.
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    AddressSet set;
    std::array<bool, 64> pages{};
    for (int i = 0; i < 30; ++i) {
      const std::uint64_t begin = random() % 64, end = begin + random() % (65 - begin);
      std::uint64_t fresh = 0;
      for (std::uint64_t page = begin; page < end; ++page) fresh += pages[page] ? 0 : 1;
      std::uint64_t gaps = 0;
      for (const MemoryRun& gap : set.Without(begin, end)) {
        EXPECT_LT(gap.begin, gap.end);
        gaps += gap.end - gap.begin;
        for (std::uint64_t page = gap.begin; page < gap.end; ++page) EXPECT_FALSE(pages[page]);
      }
      EXPECT_EQ(gaps, fresh);
      EXPECT_EQ(set.Add(begin, end), fresh);
      for (std::uint64_t page = begin; page < end; ++page) pages[page] = true;
      for (std::uint64_t page = 0; page < 64; ++page) EXPECT_EQ(set.Has(page), pages[page]);
    }
    std::uint64_t last = 0;
    for (const auto& [begin, end] : set.ranges()) {
      EXPECT_TRUE(begin > last || begin == 0) << "neighbours are one";
      last = end;
    }
  }
}

constexpr std::uint64_t kBegin = 0x10000, kPages = 16, kPartly = 0x100000, kNotDumped = 0x200000;

/// A process of one mapping of kPages pages, of which it filled the first of every four.
class KeptMemoryTest : public ::testing::Test {
 protected:
  class View final : public MemoryView {
   public:
    PageScan Scan(const ProcessMapping&, PageKind, std::uint64_t begin, std::uint64_t end) override {
      ++scans;
      end = std::min(end, can_tell_until);
      PageScan scan{{}, std::max(begin, end)};
      for (std::uint64_t page = begin; page < end; page += PageBytes())
        if ((page - kBegin) / PageBytes() % 4 == 0) scan.runs.push_back({page, page + PageBytes()});
      return scan;
    }
    bool Read(const ProcessMapping&, std::uint64_t address, std::span<std::byte> out) override {
      ++reads;
      if (has_addresses) {  // each word is its own
        for (std::size_t at = 0; at < out.size(); at += 8, address += 8)
          std::memcpy(&out[at], &address, sizeof address);
        return true;
      }
      for (std::byte& byte : out) byte = static_cast<std::byte>(address++ % 251);
      return true;
    }
    std::uint64_t can_tell_until = UINT64_MAX;
    bool has_addresses = false;
    int scans = 0, reads = 0;
  };
  KeptMemoryTest() {
    CoreBuilder builder(EM_X86_64);
    builder.AddSegment(kBegin, PF_R | PF_W, std::vector<std::byte>(kPages * PageBytes()),
                       kPages * PageBytes());
    // Dumped up to its third page, and not at all.
    builder.AddSegment(kPartly, PF_R | PF_W, std::vector<std::byte>(3 * PageBytes()), kPages * PageBytes());
    builder.AddSegment(kNotDumped, PF_R | PF_W, {}, kPages * PageBytes());
    head_.Feed(builder.Build());
    map_.emplace(head_, notes_, nullptr);
  }
  KeptMemory Memory(std::uint64_t max = 1 << 20, KeptMemory::Budget budget = {}) {
    return {view_, *map_, max, std::move(budget)};
  }

  CoreHead head_{NoteKeeper(1 << 20, 1 << 20)};
  const CoreNotes notes_;
  std::optional<ProcessMap> map_;
  View view_;
};

TEST_F(KeptMemoryTest, KeepsWhatIsFilledAndKnowsThatTheRestIsZero) {
  KeptMemory memory = Memory();
  EXPECT_EQ(memory.Keep(kBegin + 10, 5 * PageBytes()), 2 * PageBytes());
  EXPECT_TRUE(memory.Has(kBegin));
  EXPECT_FALSE(memory.Has(kBegin + PageBytes()));
  const std::vector<CoreRun> expected{{kBegin, PageBytes(), PageBytes(), PF_R | PF_W},
                                      {kBegin + PageBytes(), 3 * PageBytes(), 0, PF_R | PF_W},
                                      {kBegin + 4 * PageBytes(), PageBytes(), PageBytes(), PF_R | PF_W},
                                      {kBegin + 5 * PageBytes(), PageBytes(), 0, PF_R | PF_W}};
  EXPECT_EQ(memory.Runs(), expected);
}

TEST_F(KeptMemoryTest, EndsAtItsLimit) {
  KeptMemory memory = Memory(2 * PageBytes() + 100);
  EXPECT_EQ(memory.Keep(kBegin, kPages * PageBytes()), 2 * PageBytes());
  const std::vector<CoreRun> runs = memory.Runs();
  ASSERT_FALSE(runs.empty());
  // Behind the limit there may be more that is filled: nothing is said of it.
  EXPECT_EQ(runs.back().address + runs.back().bytes, kBegin + 8 * PageBytes());
}

TEST_F(KeptMemoryTest, ReadsOnlyWhatIsThere) {
  KeptMemory memory = Memory();
  std::array<std::byte, 16> room{};
  EXPECT_TRUE(memory.Read(kBegin + PageBytes() - 16, room));
  EXPECT_EQ(room[0], static_cast<std::byte>((kBegin + PageBytes() - 16) % 251));
  EXPECT_FALSE(memory.Read(kBegin + PageBytes() - 8, room)) << "half of it is on a page without content";
  EXPECT_FALSE(memory.Read(kBegin - 1, room));
  EXPECT_FALSE(memory.ReadWord(UINT64_MAX - 3));
  EXPECT_EQ(memory.TextLength(UINT64_MAX, 10), 0U);
}

TEST_F(KeptMemoryTest, TakesAnyAddress) {
  KeptMemory memory = Memory();
  for (const std::uint64_t address : {std::uint64_t{0}, kBegin - 1, UINT64_MAX, UINT64_MAX - 4096})
    EXPECT_EQ(memory.Keep(address, UINT64_MAX), 0U) << address;
  EXPECT_EQ(memory.Keep(kBegin, UINT64_MAX), 4 * PageBytes());
}

TEST_F(KeptMemoryTest, KeepsNothingThatIsNotDumped) {
  KeptMemory memory = Memory();
  EXPECT_EQ(memory.Keep(kNotDumped, kPages * PageBytes()), 0U);
  EXPECT_EQ(memory.Keep(kNotDumped, PageBytes(), PageKind::kPresent), 0U);
  EXPECT_FALSE(memory.ReadWord(kNotDumped));
  EXPECT_EQ(memory.Runs(), std::vector<CoreRun>()) << "nor is it said to be zero";
  EXPECT_EQ(memory.Keep(kPartly, kPages * PageBytes()), PageBytes());
  const std::vector<CoreRun> expected{{kPartly, PageBytes(), PageBytes(), PF_R | PF_W},
                                      {kPartly + PageBytes(), 2 * PageBytes(), 0, PF_R | PF_W}};
  EXPECT_EQ(memory.Runs(), expected);
}

TEST_F(KeptMemoryTest, SaysNothingOfWhatWasNotLookedAt) {
  KeptMemory memory = Memory();
  view_.can_tell_until = kBegin + 6 * PageBytes();
  EXPECT_EQ(memory.Keep(kBegin, kPages * PageBytes()), 2 * PageBytes());
  EXPECT_EQ(memory.Runs().back().address + memory.Runs().back().bytes, view_.can_tell_until);
}

TEST_F(KeptMemoryTest, KeepsTheFirstOfThem) {
  KeptMemory memory = Memory();
  EXPECT_EQ(memory.KeepFirst(kBegin, kPages * PageBytes(), 3 * PageBytes()), 3 * PageBytes());
  EXPECT_TRUE(memory.Has(kBegin + 8 * PageBytes()));
  EXPECT_FALSE(memory.Has(kBegin + 12 * PageBytes()));
}

TEST_F(KeptMemoryTest, LooksAroundNoLongerThanItMay) {
  KeptMemory few = Memory(1 << 20, {.looks = 3});
  EXPECT_TRUE(few.ReadWord(kBegin));
  for (int i = 0; i < 10; ++i) few.Keep(kBegin + PageBytes(), PageBytes());
  EXPECT_EQ(view_.scans, 3);
  EXPECT_TRUE(few.is_full());
  EXPECT_EQ(few.Keep(kBegin, PageBytes()), 0U);

  KeptMemory words = Memory(1 << 20, {.words = 5});
  int read = 0;
  for (int i = 0; i < 10; ++i) read += words.ReadWord(kBegin) ? 1 : 0;
  EXPECT_EQ(read, 5);
  EXPECT_TRUE(words.is_full());

  int left = 2;
  KeptMemory timed = Memory(1 << 20, {.go_on = [&] { return left-- > 0; }});
  timed.Keep(kBegin, PageBytes());
  EXPECT_FALSE(timed.is_full());
  timed.Keep(kBegin + PageBytes(), PageBytes());
  timed.Keep(kBegin + 4 * PageBytes(), PageBytes());
  EXPECT_TRUE(timed.is_full());
  EXPECT_FALSE(timed.Has(kBegin + 4 * PageBytes()));
}

TEST_F(KeptMemoryTest, DoesNotScanAgainWhatItKeeps) {
  KeptMemory memory = Memory();
  EXPECT_EQ(memory.Keep(kBegin, 5 * PageBytes()), 2 * PageBytes());
  EXPECT_TRUE(memory.ReadWord(kBegin));
  EXPECT_TRUE(memory.ReadWord(kBegin + 4 * PageBytes()));
  EXPECT_EQ(view_.scans, 1);
  EXPECT_FALSE(memory.ReadWord(kBegin + PageBytes())) << "holds nothing";
  EXPECT_TRUE(memory.ReadWord(kBegin + 8 * PageBytes()));
  EXPECT_EQ(view_.scans, 3);
}

TEST_F(KeptMemoryTest, WalksThroughTheWordsThatAreKept) {
  view_.has_addresses = true;
  KeptMemory memory = Memory();
  memory.Keep(kBegin, 9 * PageBytes());
  const auto words = [&](std::uint64_t begin, std::uint64_t end, std::size_t max = SIZE_MAX) {
    std::vector<std::uint64_t> found;
    memory.ForEachKeptWord(begin, end, [&](std::uint64_t word) {
      found.push_back(word);
      return found.size() < max;
    });
    return found;
  };
  const std::uint64_t page = PageBytes(), second = kBegin + 4 * page;
  EXPECT_EQ(words(kBegin, kBegin + kPages * page).size(), 3 * page / 8);
  EXPECT_EQ(words(kBegin + page - 16, second + 8),
            (std::vector{kBegin + page - 16, kBegin + page - 8, second}));
  EXPECT_EQ(words(second + 1, second + 17), (std::vector{second + 8, second + 16}))
      << "those that begin there";
  EXPECT_EQ(words(second, second + page, 2), (std::vector{second, second + 8})) << "it says when to stop";
  EXPECT_EQ(words(kBegin + page, second), std::vector<std::uint64_t>());
  EXPECT_EQ(words(UINT64_MAX - 3, UINT64_MAX), std::vector<std::uint64_t>());
  EXPECT_EQ(words(UINT64_MAX - 100, UINT64_MAX), std::vector<std::uint64_t>());
}

TEST_F(KeptMemoryTest, WalksNoFurtherThanItMay) {
  KeptMemory memory = Memory(1 << 20, {.words = 5});
  memory.Keep(kBegin, 9 * PageBytes());
  int words = 0;
  memory.ForEachKeptWord(kBegin, kBegin + kPages * PageBytes(), [&](std::uint64_t) { return ++words > 0; });
  EXPECT_EQ(words, 5);
  EXPECT_TRUE(memory.is_full());
}

TEST_F(KeptMemoryTest, ReadsATextByPages) {
  KeptMemory memory = Memory();
  EXPECT_EQ(memory.TextLength(kBegin + 1, PageBytes()), 251 - kBegin % 251 - 1) << "up to its zero";
  EXPECT_EQ(memory.TextLength(kBegin + 1, 3), 3U);
  EXPECT_EQ(view_.reads, 1);
}

}  // namespace
}  // namespace obit
