#include "server/clerk_room.h"

#include <filesystem>
#include <fstream>
#include <memory>

#include "server/clerk_books.h"
#include "server/clerk_retention.h"
#include "server/test_clerk.h"

namespace obit {
namespace {

using ::testing::SizeIs;

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

class ClerkRoomTest : public testing::ClerkStoreTest {
 protected:
  ClerkRoomTest() {
    numbers_.Start();
    config_.retention_size = {.bytes = 10 * kGiB};
    config_.retention_free = {.bytes = 15 * kGiB};
  }
  void Make() {
    retention_ = std::make_unique<ClerkRetention>(
        loop_, store_, index_, config_, ClerkRetention::Handler{.removed = {}, .left = {}},
        RetentionSenses{[] { return testing::kSomeTime; }, [] { return std::int64_t{0}; },
                        [this](const Fd&) -> Result<DiskSpace> {
                          if (fails_) return Refuse(EIO, "the disk does not say");
                          return disk_;
                        }});
    room_ = std::make_unique<ClerkRoom>(loop_, *retention_, books_,
                                        [this](const DiskRoom& room) { told_.push_back(room); });
  }
  DiskRoom Tells() {
    if (!room_) Make();
    room_->Tell();
    return told_.back();
  }

  Config config_;
  ClerkIndex index_{loop_, store_};
  ClerkNumbers numbers_{loop_, store_, index_, [](const Sequence::Range&) {}};
  ClerkBooks books_{loop_,
                    store_,
                    numbers_,
                    index_,
                    {.committed = [](const CrashSummary&, const CrashRecord&, Fd, Fd) {},
                     .done = [](CrashKey, bool) {},
                     .lost = [](const CrashRecord&, const std::string&) {}}};
  DiskSpace disk_{.all = 100 * kGiB, .free = 50 * kGiB};
  bool fails_ = false;
  std::unique_ptr<ClerkRetention> retention_;
  std::unique_ptr<ClerkRoom> room_;
  std::vector<DiskRoom> told_;
};

TEST_F(ClerkRoomTest, TellsWhatTheLimitsLeave) {
  EXPECT_EQ(Tells(), (DiskRoom{.cores = 10 * kGiB, .free = 50 * kGiB - 64 * kMiB}));
  disk_.free = 16 * kGiB;
  EXPECT_EQ(Tells().cores, kGiB);
  disk_.free = kGiB;
  EXPECT_EQ(Tells(), (DiskRoom{.cores = 0, .free = kGiB - 64 * kMiB}))
      << "what is kept free is for small ones";
}

TEST_F(ClerkRoomTest, BeforeTheFirstLookTheIndexKnowsWhatMayGo) {
  CrashRecord record = testing::SampleRecord();
  record.files.core = kCoreFile;
  record.capture.stored_bytes = 4 * kGiB;
  const CrashLocation crash = testing::CommitCrash(store_, record);
  index_.Add(std::span(&crash, 1));
  disk_.free = 14 * kGiB;
  EXPECT_EQ(Tells().cores, 512 * kMiB) << "4 GiB, but for a floor of 2.5, and 1 that is not free";
}

TEST_F(ClerkRoomTest, WithoutRetentionOrAnAnswerNothingIsLowered) {
  fails_ = true;
  EXPECT_EQ(Tells(), DiskRoom());
  fails_ = false;
  config_.retention = false;
  Make();
  EXPECT_EQ(Tells(), DiskRoom());
}

TEST_F(ClerkRoomTest, TellsOnceForAllThatATurnBrings) {
  Make();
  for (int i = 0; i < 3; ++i) room_->Changed();
  EXPECT_TRUE(told_.empty());
  RunThrough(
      {{[&] { return !told_.empty(); }, [&] { room_->Changed(); }}, {[&] { return told_.size() > 1; }}});
  EXPECT_THAT(told_, SizeIs(2));
}

TEST_F(ClerkRoomTest, RecordsHaveRoomUntilManyWaitForIt) {
  disk_.free = 0;
  EXPECT_TRUE(Tells().has_records);
  // None can be written: another kind of file is where they begin.
  std::filesystem::remove_all(store_.path() + "/incoming");
  std::ofstream(store_.path() + "/incoming") << "a file";
  for (CrashKey crash = 1; crash <= ClerkRoom::kWaitingMax; ++crash) {
    EXPECT_TRUE(Tells().has_records);
    books_.Take({.kind = Order::Kind::kRecord,
                 .crash = crash,
                 .head = testing::Head(fmt::format("{:016x}", crash)),
                 .facts = testing::Facts(),
                 .reason = "that is why"});
  }
  EXPECT_FALSE(Tells().has_records);
  disk_.free = kGiB;
  EXPECT_TRUE(Tells().has_records) << "there is room: they wait for something else";
}

}  // namespace
}  // namespace obit
