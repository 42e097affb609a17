#include "capture/first_set.h"

#include <gtest/gtest.h>

#include "base/io.h"

namespace obit {
namespace {

class FirstSetTest : public ::testing::Test {
 protected:
  FirstSetTest() {
    for (std::size_t i = 0; i < memory_.size(); ++i) memory_[i] = static_cast<std::byte>(i % 251);
  }
  [[nodiscard]] std::uint64_t At(std::size_t offset) const {
    return reinterpret_cast<std::uint64_t>(memory_.data() + offset);
  }
  /// [begin, end) as zeros that were read afterwards, with what was taken.
  [[nodiscard]] std::vector<std::byte> Put(std::size_t begin, std::size_t end) const {
    std::vector<std::byte> room(end - begin);
    set_.Put(At(begin), room);
    return room;
  }
  [[nodiscard]] std::vector<std::byte> Memory(std::size_t begin, std::size_t end) const {
    return {memory_.begin() + static_cast<std::ptrdiff_t>(begin),
            memory_.begin() + static_cast<std::ptrdiff_t>(end)};
  }

  std::vector<std::byte> memory_ = std::vector<std::byte>(10000);
  Fd mem_ = *Open("/proc/self/mem", O_RDONLY);
  FirstSet set_;
};

TEST_F(FirstSetTest, ReplacesWhatWasTakenAndNothingElse) {
  ASSERT_TRUE(set_.Take(mem_, At(100), 50));
  ASSERT_TRUE(set_.Take(mem_, At(300), 8));
  EXPECT_EQ(set_.bytes(), 58u);
  const auto room = Put(0, 1000);
  for (std::size_t i = 0; i < room.size(); ++i) {
    const bool is_taken = (i >= 100 && i < 150) || (i >= 300 && i < 308);
    EXPECT_EQ(room[i], is_taken ? memory_[i] : std::byte{0}) << i;
  }
}

TEST_F(FirstSetTest, PutsPartsOfWhatWasTaken) {
  ASSERT_TRUE(set_.Take(mem_, At(100), 50));
  EXPECT_EQ(Put(120, 130), Memory(120, 130));
  EXPECT_EQ(Put(140, 150), Memory(140, 150));
  EXPECT_EQ(Put(150, 200), std::vector<std::byte>(50)) << "behind it";
  EXPECT_EQ(Put(0, 100), std::vector<std::byte>(100)) << "before it";
}

TEST_F(FirstSetTest, ReadsNothingTwice) {
  ASSERT_TRUE(set_.Take(mem_, At(200), 100));
  const auto before = Memory(150, 350);
  memory_[210] = std::byte{255};  // as the end of a process changes it
  ASSERT_TRUE(set_.Take(mem_, At(150), 200));
  EXPECT_EQ(set_.bytes(), 200u);
  EXPECT_EQ(Put(150, 350), before);
}

TEST_F(FirstSetTest, SaysWhatItCouldNotTake) {
  EXPECT_FALSE(set_.Take(mem_, 0, 8)) << "there is nothing";
  EXPECT_FALSE(set_.Take(mem_, At(0), FirstSet::kBytesMax + 1)) << "no room";
  EXPECT_FALSE(set_.Take(mem_, UINT64_MAX - 3, 8));
  EXPECT_EQ(set_.bytes(), 0u);
}

}  // namespace
}  // namespace obit
