#include "server/clerk_index.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <fmt/ranges.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/test_clerk.h"

namespace obit {
namespace {

using testing::CommitCrash;
using testing::SampleRecord;

class ClerkIndexTest : public testing::ClerkStoreTest {
 protected:
  CrashLocation Crash(int days = 0) {
    return CommitCrash(store_, SampleRecord(testing::kSomeTime + days * testing::kOneDay));
  }
  /// All but the first page, which says of what version the file is.
  void Damage() {
    {
      EXPECT_TRUE(Index::Open(store_)->List(store_));
    }  // with it goes the log beside the file
    const Fd file = *Open(folder_ / "store/index.db", O_RDWR);
    struct stat status{};
    EXPECT_EQ(::fstat(file.get(), &status), 0);
    const std::string nonsense(static_cast<std::size_t>(status.st_size) - 4096, 'x');
    EXPECT_TRUE(WriteAllAt(file, testing::BytesOf(nonsense), 4096));
  }
};

TEST_F(ClerkIndexTest, TakesCrashesAtOnce) {
  ClerkIndex index(loop_, store_);
  const CrashLocation crash = Crash();
  index.Add(std::span(&crash, 1));
  EXPECT_EQ(index.Use()->crashes, 1u);
}

TEST_F(ClerkIndexTest, WaitsForNobodyWhoHoldsItAndGoesOnAfter) {
  ClerkIndex index(loop_, store_);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "store/index.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const std::int64_t begun = MonotonicNow();
  for (int i = 0; i < 20; ++i) {
    const CrashLocation crash = Crash();
    index.Add(std::span(&crash, 1));
  }
  EXPECT_LT(MonotonicNow() - begun, 1'000'000'000) << "not each of them waited";
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  RunThrough({{[&] { return index.Use()->crashes == 20; }}});
}

TEST_F(ClerkIndexTest, IsMadeAnewWhereItIsDamaged) {
  Crash(-1);
  Damage();
  ClerkIndex index(loop_, store_);
  const CrashLocation crash = Crash();
  index.Add(std::span(&crash, 1));
  RunThrough({{[&] { return index.Use().value_or(StoreUse()).crashes == 2; }}});
}

TEST_F(ClerkIndexTest, ANewOneIsFilledDayByDay) {
  Crash(-2);
  Crash(-1);
  ClerkIndex index(loop_, store_);
  EXPECT_FALSE(index.Kept()) << "nobody waits for all of them at once";
  RunThrough({{[&] { return index.Kept().has_value(); }}});
  EXPECT_EQ(index.Use()->crashes, 2u);
}

TEST_F(ClerkIndexTest, IsOpenedLaterWhereItCannotBeNow) {
  ASSERT_TRUE(std::filesystem::create_directory(folder_ / "store/index.db"));
  ClerkIndex index(loop_, store_);
  EXPECT_FALSE(index.Use());
  const CrashLocation crash = Crash();
  index.Add(std::span(&crash, 1));
  std::filesystem::remove(folder_ / "store/index.db");
  RunThrough({{[&] { return index.Use().value_or(StoreUse()).crashes == 1; }}});
}

TEST_F(ClerkIndexTest, ADayThatCannotBeReadKeepsNoOtherWaiting) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr uid_t kUser = 65534;
  const CrashLocation hidden = Crash(), other = Crash(-1);
  Damage();
  const std::string day = folder_ / ("store/crashes/" + hidden.day);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
    ASSERT_EQ(::lchown(entry.path().c_str(), kUser, kUser), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(day.c_str(), 0), 0);
  std::vector<std::string> said;
  GiveLogTo([&](Severity, std::string_view text) { said.emplace_back(text); });
  ASSERT_EQ(::seteuid(kUser), 0);  // root would read it
  {
    ClerkIndex index(loop_, store_);
    index.Add(std::span(&other, 1));
    const auto has = [&](std::size_t crashes) {
      return [&index, crashes] { return index.Use().value_or(StoreUse()).crashes == crashes; };
    };
    RunThrough({{has(1), [&] { EXPECT_EQ(::chmod(day.c_str(), 0755), 0); }}, {has(2)}});
  }
  ASSERT_EQ(::seteuid(0), 0);
  GiveLogTo({});
  const auto lines = [&](const char* text) {
    return std::ranges::count_if(said, [&](const std::string& line) { return line.contains(text); });
  };
  EXPECT_EQ(lines("lists may lack crashes"), 1) << fmt::format("{}", fmt::join(said, "\n"));
  EXPECT_EQ(lines("can be read again"), 1);
}

TEST_F(ClerkIndexTest, ComparesTheDaysOfMoreThanItKeeps) {
  ASSERT_TRUE(std::filesystem::create_directory(folder_ / "store/index.db"));
  ClerkIndex index(loop_, store_);
  const CrashLocation first = Crash(), last = Crash(1);
  for (int i = 0; i < 5000; ++i) index.Add(std::span(&first, 1));
  index.Add(std::span(&last, 1));
  std::filesystem::remove(folder_ / "store/index.db");
  RunThrough({{[&] { return index.Use().value_or(StoreUse()).crashes == 2; }}});
}

}  // namespace
}  // namespace obit
