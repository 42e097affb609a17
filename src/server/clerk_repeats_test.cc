#include "server/clerk_repeats.h"

#include <algorithm>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file_time.h"
#include "server/facts_record.h"
#include "server/test_clerk.h"
#include "store/test_cores.h"

namespace obit {
namespace {

using testing::CommitCrash;
using testing::SampleRecord;

class ClerkRepeatsTest : public testing::ClerkStoreTest {
 protected:
  static RepeatsOfKept Count(const CrashRecord& kept, std::uint64_t crashes) {
    return {kept.time, {.id = kept.id, .crashes = crashes, .first = 1, .last = 2}};
  }
  static SiteState Site(const CrashRecord& kept, std::uint64_t crashes) {
    SiteState site{.key = 1, .kept_time = kept.time, .repeats = crashes, .first = 1, .last = 2};
    kept.id.copy(site.kept_id, sizeof site.kept_id);
    return site;
  }
  [[nodiscard]] std::uint64_t Noted(const CrashRecord& kept) const {
    const auto repeats = store_.LoadRepeats({FormatDay(kept.time), kept.id});
    return repeats ? repeats->crashes : 0;
  }
  static std::int64_t Changed(const std::string& folder) {
    struct stat status{};
    EXPECT_EQ(::stat(folder.c_str(), &status), 0);
    return NanosecondsOf(status.st_mtim);
  }
  std::vector<std::string> gone_;
  Ledger ledger_ = *Ledger::Open("");
  ClerkRepeats repeats_{loop_, store_, &ledger_, [this](const std::string& id) { gone_.push_back(id); }};
};

TEST_F(ClerkRepeatsTest, AreNotedBesideTheirCrash) {
  const CrashRecord kept = SampleRecord();
  CommitCrash(store_, kept);
  repeats_.Add(Count(kept, 3));
  repeats_.Add(Count(kept, 5));
  RunThrough({{[&] { return Noted(kept) == 5; }}});
}

TEST_F(ClerkRepeatsTest, WaitForNoCrashThatWasRemovedBeforeThisClerk) {
  constexpr std::int64_t kMinute = 60'000'000'000;
  const CrashRecord removed = SampleRecord(RealtimeNow() - kMinute);
  CrashRecord open = removed, left = removed;
  open.id = NewCrashId();
  left.id = NewCrashId();
  LedgerEntry entry;
  SetText(entry.head.id, open.id);
  entry.head.detail = static_cast<std::uint32_t>(Detail::kFull);
  ASSERT_TRUE(ledger_.Note(7, entry));
  ASSERT_TRUE(ledger_.IsOpen(open.id));
  ASSERT_EQ(::mkdir((store_.path() + "/incoming/" + left.id).c_str(), 0700), 0);
  for (const CrashRecord& kept : {removed, open, left}) repeats_.Add(Count(kept, 3));
  repeats_.Finish();
  EXPECT_THAT(gone_, ::testing::ElementsAre(removed.id));
}

TEST_F(ClerkRepeatsTest, WaitForACrashThatIsBeingCaptured) {
  const CrashRecord kept = SampleRecord(RealtimeNow());
  repeats_.Add(Count(kept, 3));
  repeats_.Finish();
  EXPECT_TRUE(gone_.empty());
  CommitCrash(store_, kept);
  repeats_.OnCommitted(kept.id);
  RunThrough({{[&] { return Noted(kept) == 3; }}});
}

TEST_F(ClerkRepeatsTest, OfWhichADeadManagerToldNobodyAreInTheLedger) {
  const CrashRecord kept = SampleRecord(), removed = SampleRecord(RealtimeNow() - testing::kOneDay);
  CommitCrash(store_, kept);
  ledger_.SaveSite(0, Site(kept, 4));
  ledger_.SaveSite(1, Site(removed, 2));
  repeats_.Start();
  RunThrough({{[&] { return Noted(kept) == 4; }}});
  EXPECT_TRUE(ledger_.UnstoredRepeats().empty());
}

TEST_F(ClerkRepeatsTest, AreWrittenOnceTheStoreCanTakeThem) {
  const CrashRecord kept = SampleRecord();
  const std::string folder = store_.PathOf(CommitCrash(store_, kept));
  const auto before = Changed(folder);
  std::optional<testing::FileSizeLimit> full(0);
  ledger_.SaveSite(2, Site(kept, 4));
  repeats_.Add(Count(kept, 4));
  RunThrough({{[&] { return Changed(folder) != before; },
               [&] {
                 EXPECT_EQ(ledger_.UnstoredRepeats().size(), 1u);
                 full.reset();
               }},
              {[&] { return Noted(kept) == 4; }}});
  EXPECT_TRUE(ledger_.UnstoredRepeats().empty());
}

TEST_F(ClerkRepeatsTest, ThatCannotBeWrittenAreTriedSomeAtATime) {
  std::vector<std::pair<std::string, std::int64_t>> folders;
  std::vector<CrashRecord> all;
  for (std::size_t i = 0; i < 3 * ClerkRepeats::kAtOnce; ++i) {
    all.push_back(SampleRecord());
    const std::string folder = store_.PathOf(CommitCrash(store_, all.back()));
    folders.emplace_back(folder, Changed(folder));
    repeats_.Add(Count(all.back(), 4));
  }
  const auto tried = [&] {
    return static_cast<std::size_t>(
        std::ranges::count_if(folders, [](const auto& one) { return Changed(one.first) != one.second; }));
  };
  std::optional<testing::FileSizeLimit> full(0);
  RunThrough(
      {{[&] { return tried() > 0; },
        [&] {
          EXPECT_EQ(tried(), ClerkRepeats::kAtOnce);
          full.reset();
        }},
       {[&] { return std::ranges::all_of(all, [&](const auto& kept) { return Noted(kept) == 4; }); }}});
}

/// The crash's owner may put anything into its folder.
TEST_F(ClerkRepeatsTest, WhatIsInTheWayForEverIsNotTriedForEver) {
  const CrashRecord kept = SampleRecord(), other = SampleRecord();
  const std::string places[] = {store_.PathOf(CommitCrash(store_, kept)) + "/repeats.json",
                                store_.PathOf(CommitCrash(store_, other)) + "/repeats.json.new"};
  for (const std::string& place : places) ASSERT_EQ(::mkdir(place.c_str(), 0700), 0);
  const std::int64_t before = Changed(store_.PathOf({FormatDay(kept.time), kept.id}));
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 2; ++i) {
    for (const CrashRecord* one : {&kept, &other}) {
      ledger_.SaveSite(3, Site(*one, 4));
      repeats_.Add(Count(*one, 4));
    }
    repeats_.Finish();
    EXPECT_TRUE(ledger_.UnstoredRepeats().empty());
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(log, '\n'), 2) << "each is said once: " << log;
  EXPECT_TRUE(gone_.empty());
  EXPECT_EQ(Changed(store_.PathOf({FormatDay(kept.time), kept.id})), before) << "no file is made for nothing";
}

TEST_F(ClerkRepeatsTest, TellThatTheirCrashIsGone) {
  const CrashRecord old = SampleRecord(RealtimeNow() - testing::kOneDay),
                    removed = SampleRecord(RealtimeNow());
  const CrashLocation crash = CommitCrash(store_, removed);
  repeats_.OnCommitted(removed.id);
  ASSERT_TRUE(store_.Remove(crash));
  repeats_.Add(Count(old, 3));
  repeats_.Add(Count(removed, 3));
  repeats_.Finish();
  EXPECT_THAT(gone_, ::testing::UnorderedElementsAre(old.id, removed.id));
}

}  // namespace
}  // namespace obit
