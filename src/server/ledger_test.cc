#include "server/ledger.h"

#include <csignal>
#include <cstring>
#include <thread>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::TemporaryFolder;

LedgerEntry Entry(std::uint64_t number) {
  LedgerEntry entry;
  std::memcpy(entry.head.id, fmt::format("{:016x}", number).data(), sizeof entry.head.id);
  entry.head.number = number;
  entry.head.time = static_cast<std::int64_t>(number);
  std::memcpy(entry.comm, "crasher", 8);
  return entry;
}

std::vector<std::uint64_t> NumbersOf(const std::vector<Ledger::Left>& left) {
  std::vector<std::uint64_t> numbers;
  for (const Ledger::Left& crash : left) numbers.push_back(crash.entry.head.number);
  return numbers;
}

class LedgerTest : public ::testing::Test {
 protected:
  [[nodiscard]] Ledger OpenIt() const {
    auto ledger = Ledger::Open(path_);
    EXPECT_THAT(ledger, testing::Succeeds());
    return std::move(*ledger);
  }
  /// Overwrites the file at `offset`, as somebody else might.
  template <class T>
  void Scribble(off_t offset, T value) const {
    const Fd file = *Open(path_, O_WRONLY);
    ASSERT_EQ(::pwrite(file.get(), &value, sizeof value, offset), static_cast<ssize_t>(sizeof value));
  }
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "ledger";
};

// The layout of the file: 88 bytes of header; of a slot the sequence, the generation, the entry. Repeats have
// 48 bytes, and how many are stored; so have sites. The key of the sites is last.
constexpr off_t kHeader = 88, kSlot = 8 + sizeof(LedgerEntry), kRepeatsSlot = 8 + 48 + 8,
                kSiteSlot = 8 + sizeof(SiteState) + 8;

SiteState Repeated(std::uint64_t number, std::uint64_t crashes) {
  SiteState site{.key = 1 + number, .records = 3, .kept_time = 5, .repeats = crashes, .first = 6, .last = 7};
  fmt::format("{:016x}", number).copy(site.kept_id, sizeof site.kept_id);
  return site;
}
Repeats RepeatsOf(const SiteState& site) { return site.AllRepeats().repeats; }

std::vector<std::uint64_t> CrashesOf(const std::vector<RepeatsOfKept>& counts) {
  std::vector<std::uint64_t> crashes;
  for (const RepeatsOfKept& count : counts) crashes.push_back(count.repeats.crashes);
  return crashes;
}

TEST_F(LedgerTest, TellsWhatOtherGenerationsLeft) {
  Ledger ledger = OpenIt();
  const auto first = ledger.BeginGeneration();
  const auto slot = ledger.Note(first, Entry(1));
  ASSERT_TRUE(slot);
  (void)ledger.Note(first, Entry(2));
  EXPECT_THAT(ledger.LeftBy(first), ::testing::IsEmpty());
  const auto second = ledger.BeginGeneration();
  EXPECT_NE(first, second);
  EXPECT_THAT(NumbersOf(ledger.LeftBy(second)), ::testing::ElementsAre(1, 2));
  EXPECT_STREQ(ledger.LeftBy(second).front().entry.comm, "crasher");
  ledger.Clear(*slot);
  EXPECT_THAT(NumbersOf(ledger.LeftBy(second)), ::testing::ElementsAre(2));
}

TEST_F(LedgerTest, OutlivesItsProcessesAndCountsGenerationsOn) {
  Child child(::fork());
  if (child.pid() == 0) {
    Ledger ledger = *Ledger::Open(path_);
    const auto slot = ledger.Note(ledger.BeginGeneration(), Entry(1));
    ledger.Update(*slot, Entry(7));
    ::raise(SIGKILL);
  }
  child.Wait();
  Ledger ledger = OpenIt();
  const auto next = ledger.BeginGeneration();
  EXPECT_EQ(next, 2U);
  EXPECT_THAT(NumbersOf(ledger.LeftBy(next)), ::testing::ElementsAre(7));
}

TEST_F(LedgerTest, IsSharedWithChildrenAlsoWithoutAFile) {
  Ledger ledger = *Ledger::Open("");
  const auto generation = ledger.BeginGeneration();
  Child child(::fork());
  if (child.pid() == 0) ::_exit(ledger.Note(generation, Entry(5)) ? 0 : 1);
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_THAT(NumbersOf(ledger.LeftBy(ledger.BeginGeneration())), ::testing::ElementsAre(5));
}

TEST_F(LedgerTest, LeavesOutASlotThatWasBeingWrittenAndUsesItAgain) {
  Ledger ledger = OpenIt();
  const auto generation = ledger.BeginGeneration();
  const auto slot = ledger.Note(generation, Entry(1));
  ASSERT_EQ(slot, 0U);
  (void)ledger.Note(generation, Entry(2));
  Scribble(kHeader, std::uint32_t{3});      // an odd sequence
  Scribble(kHeader + 4, std::uint32_t{0});  // and no generation yet
  const auto next = ledger.BeginGeneration();
  EXPECT_THAT(NumbersOf(ledger.LeftBy(next)), ::testing::ElementsAre(2));
  for (std::size_t i = 2; i < Ledger::kSlots; ++i) ASSERT_TRUE(ledger.Note(next, Entry(i)));
  EXPECT_EQ(ledger.Note(next, Entry(9)), 0U);
  EXPECT_EQ(ledger.Note(next, Entry(9)), std::nullopt);
}

/// What changes of a crash as more becomes known.
LedgerEntry Grown(std::uint64_t n) {
  LedgerEntry entry = Entry(1);
  entry.head.held = static_cast<std::int64_t>(n);
  entry.head.pid = static_cast<std::int32_t>(n);
  return entry;
}

TEST_F(LedgerTest, HasEachCrashWhereverTheWriterDied) {
  for (int round = 0; round < 20; ++round) {
    Ledger ledger = OpenIt();
    const auto generation = ledger.BeginGeneration();
    auto* writes = static_cast<std::atomic<int>*>(
        ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    Child child(::fork());
    if (child.pid() == 0) {
      const auto slot = ledger.Note(generation, Grown(1));
      for (std::uint64_t n = 2;; ++n, ++*writes) ledger.Update(*slot, Grown(n % 97 + 1));
    }
    while (*writes < 1000 + round) std::this_thread::yield();
    ::kill(child.pid(), SIGKILL);
    child.Wait();
    ::munmap(writes, sizeof *writes);
    const auto left = ledger.LeftBy(generation + 1);
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].entry.head.number, 1U);
    EXPECT_STREQ(left[0].entry.comm, "crasher");
    EXPECT_THAT(left[0].entry.head.held, ::testing::AllOf(::testing::Ge(1), ::testing::Le(97)));
    ledger.Clear(left[0].slot);
  }
}

TEST_F(LedgerTest, HasTheRepeatsThatTheStoreHasNotYet) {
  Child child(::fork());
  if (child.pid() == 0) {
    Ledger ledger = *Ledger::Open(path_);
    for (const std::uint64_t crashes : {1, 2, 3}) ledger.SaveSite(4, Repeated(1, crashes));
    ledger.SaveSite(7, Repeated(2, 9));
    ::raise(SIGKILL);
  }
  child.Wait();
  Ledger ledger = OpenIt();
  const auto counts = ledger.UnstoredRepeats();
  EXPECT_THAT(CrashesOf(counts), ::testing::ElementsAre(3, 9));
  EXPECT_EQ(counts.at(0).kept_time, 5);
  EXPECT_EQ(counts.at(0).repeats.id, RepeatsOf(Repeated(1, 0)).id);
  EXPECT_EQ(counts.at(0).repeats.first, 6);
  EXPECT_EQ(counts.at(0).repeats.last, 7);
  ledger.RepeatsStored(RepeatsOf(Repeated(1, 3)));
  ledger.RepeatsStored(RepeatsOf(Repeated(2, 8)));
  EXPECT_THAT(CrashesOf(ledger.UnstoredRepeats()), ::testing::ElementsAre(9)) << "one more than is stored";
  ledger.SaveSite(4, Repeated(1, 4));
  EXPECT_THAT(CrashesOf(ledger.UnstoredRepeats()), ::testing::ElementsAre(4, 9));
}

TEST_F(LedgerTest, HasWhatIsKnownOfSites) {
  HashKey key;
  {
    Ledger ledger = OpenIt();
    key = ledger.site_key();
    EXPECT_NE(key.first | key.second, 0U);
    EXPECT_THAT(ledger.sites(), ::testing::IsEmpty());
    ledger.SaveSite(1, {.key = 5, .until = 8, .bytes = 9, .cores = 2});
    ledger.SaveSite(3, Repeated(1, 4));
    ledger.SaveSite(3, Repeated(2, 1));
  }
  const Ledger ledger = OpenIt();
  EXPECT_EQ(ledger.site_key().first, key.first);
  EXPECT_EQ(ledger.site_key().second, key.second);
  const auto sites = ledger.sites();
  ASSERT_EQ(sites.size(), 4U);
  EXPECT_EQ(sites[0].key, 0U);
  EXPECT_EQ(sites[1].key, 5U);
  EXPECT_EQ(sites[1].until, 8);
  EXPECT_EQ(sites[1].bytes, 9U);
  EXPECT_EQ(sites[1].cores, 2U);
  EXPECT_EQ(sites[3].kept(), Repeated(2, 0).kept());
  EXPECT_THAT(CrashesOf(ledger.UnstoredRepeats()), ::testing::ElementsAre(4, 1))
      << "what was counted after the crash before is not stored yet";
}

TEST_F(LedgerTest, ForgetsTheRepeatsThatCameFirst) {
  Ledger ledger = OpenIt();
  const auto has = [&](std::uint64_t number) {
    return std::ranges::any_of(ledger.UnstoredRepeats(), [&](const RepeatsOfKept& count) {
      return count.repeats.id == Repeated(number, 0).kept();
    });
  };
  for (std::size_t i = 0; i <= Ledger::kRepeats; ++i) ledger.SaveSite(0, Repeated(i, 1));
  EXPECT_EQ(ledger.UnstoredRepeats().size(), Ledger::kRepeats + 1) << "one is still the site's";
  ledger.RepeatsStored(RepeatsOf(Repeated(40, 1)));
  ledger.SaveSite(0, Repeated(5000, 2));
  EXPECT_TRUE(has(0)) << "it took the place of one that was stored";
  ledger.SaveSite(0, Repeated(5001, 2));
  EXPECT_FALSE(has(0));
  EXPECT_TRUE(has(1));
  EXPECT_TRUE(has(5000));
}

TEST_F(LedgerTest, SaysWhenItIsFull) {
  Ledger ledger = OpenIt();
  const auto generation = ledger.BeginGeneration();
  for (std::size_t i = 0; i < Ledger::kSlots; ++i) ASSERT_TRUE(ledger.Note(generation, Entry(i)));
  EXPECT_EQ(ledger.Note(generation, Entry(1)), std::nullopt);
  EXPECT_EQ(ledger.LeftBy(generation + 1).size(), Ledger::kSlots);
  ledger.Clear(17);
  EXPECT_EQ(ledger.Note(generation, Entry(1)), 17U);
}

TEST_F(LedgerTest, IsMadeAnewIfItIsNotOfThisVersionOrNotOfThisUserAlone) {
  const auto note = [this] { (void)OpenIt().Note(1, Entry(1)); };
  const auto is_new = [this] { return OpenIt().LeftBy(2).empty(); };
  note();
  ASSERT_FALSE(is_new());
  Scribble(8, std::uint32_t{999});  // its version
  EXPECT_TRUE(is_new()) << "version";
  note();
  ASSERT_EQ(::truncate(path_.c_str(), 100), 0);
  EXPECT_TRUE(is_new()) << "size";
  note();
  ASSERT_EQ(::chmod(path_.c_str(), 0606), 0);
  EXPECT_TRUE(is_new()) << "mode";
  note();
  ASSERT_EQ(::link(path_.c_str(), (folder_ / "other").c_str()), 0);
  EXPECT_TRUE(is_new()) << "two names";
  if (::geteuid() == 0) {
    note();
    ASSERT_EQ(::chown(path_.c_str(), 61001, 61001), 0);
    EXPECT_TRUE(is_new()) << "owner";
  }
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(status.st_uid, ::geteuid());
}

TEST_F(LedgerTest, FollowsNoLinkAndWritesIntoNothingElse) {
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "precious", "text", 0600), testing::Succeeds());
  ASSERT_EQ(::symlink("precious", path_.c_str()), 0);
  (void)OpenIt().Note(1, Entry(1));
  EXPECT_EQ(ReadFile(folder_ / "precious", 100)->text, "text");
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);  // opening it must not wait for a reader
  EXPECT_THAT(OpenIt().LeftBy(1), ::testing::IsEmpty());
  EXPECT_THAT(Ledger::Open(folder_ / "missing/ledger"), testing::FailsWith(ENOENT));
}

TEST_F(LedgerTest, BelievesNoHostileContent) {
  (void)OpenIt().Note(1, Entry(1));
  const Fd file = *Open(path_, O_RDWR);
  struct stat status{};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  const auto board = static_cast<off_t>(DoorBoard::Bytes());  // one page
  const off_t page = kHeader + kSlot * static_cast<off_t>(Ledger::kSlots) +
                     kRepeatsSlot * static_cast<off_t>(Ledger::kRepeats) +
                     kSiteSlot * static_cast<off_t>(CrashSites::kStatesMax) +
                     static_cast<off_t>(sizeof(HashKey));
  ASSERT_EQ(status.st_size, (page + board - 1) / board * board + board);
  for (const int byte : {0xfe, 0x66, 0xff}) {  // even sequences; "ffff..." is an id; odd ones
    const std::vector<char> junk(static_cast<std::size_t>(status.st_size) - 16, static_cast<char>(byte));
    ASSERT_EQ(::pwrite(file.get(), junk.data(), junk.size(), 16), static_cast<ssize_t>(junk.size()));
    Ledger ledger = OpenIt();
    EXPECT_THAT(ledger.LeftBy(1), ::testing::IsEmpty());
    EXPECT_THAT(ledger.UnstoredRepeats(), ::testing::IsEmpty());
    EXPECT_LE(ledger.sites().size(), CrashSites::kStatesMax);
    ledger.SaveSite(1, Repeated(1, 1));
    const auto slot = ledger.Note(ledger.BeginGeneration(), Entry(1));
    EXPECT_EQ(slot, std::nullopt) << "each slot seems to be taken: crashes go on without";
    EXPECT_LE(ledger.lost_told(), ledger.tallies().lost) << "what is lost from here on is told";
  }
  // One whose enumerators have no name.
  LedgerEntry entry = Entry(3);
  entry.head.outcome = 77;
  Ledger ledger = *Ledger::Open("");
  (void)ledger.Note(1, entry);
  entry = Entry(4);
  entry.head.lowered = 77;
  (void)ledger.Note(1, entry);
  EXPECT_THAT(ledger.LeftBy(2), ::testing::IsEmpty());
}

TEST_F(LedgerTest, KeepsCountsOfWhatHasNoRecord) {
  {
    Ledger ledger = OpenIt();
    ledger.Count(&Tallies::repeated);
    for (int i = 0; i < 2; ++i) ledger.Count(&Tallies::counted);
    for (int i = 0; i < 3; ++i) ledger.Count(&Tallies::lost);
    ledger.LostTold(2);
  }
  Ledger ledger = OpenIt();
  EXPECT_EQ(ledger.tallies().repeated, 1U);
  EXPECT_EQ(ledger.tallies().counted, 2U);
  EXPECT_EQ(ledger.tallies().lost, 3U);
  EXPECT_EQ(ledger.lost_told(), 2U);
}

TEST_F(LedgerTest, LosesWhatADeadManagerHadWithoutASlot) {
  {
    Ledger ledger = OpenIt();
    for (int i = 0; i < 5; ++i) ledger.CountUnlisted(1);
    for (int i = 0; i < 2; ++i) ledger.CountUnlisted(-1);
  }
  Ledger ledger = OpenIt();
  EXPECT_EQ(ledger.tallies().lost, 0U);
  for (int i = 0; i < 2; ++i) {
    ledger.LoseUnlisted();
    EXPECT_EQ(ledger.tallies().lost, 3U) << "once";
  }
}

TEST_F(LedgerTest, WhatAManagerTookTheDoorDoesNotHaveBesides) {
  Ledger ledger = OpenIt();
  LedgerEntry entry = Entry(1);
  entry.head.pid = 12;
  (void)ledger.Note(1, entry);
  ledger.door().Take(0, {.pid = 12});
  ledger.door().Take(1, {.pid = 13});
  (void)ledger.BeginGeneration();
  EXPECT_FALSE(ledger.door().held(0));
  EXPECT_TRUE(ledger.door().held(1));
}

}  // namespace
}  // namespace obit
