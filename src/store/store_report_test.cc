#include <filesystem>
#include <thread>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "crash/report_json.h"
#include "store/removal.h"
#include "store/store.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::CommitCrash;
using testing::FailsWith;
using testing::SampleRecord;
using testing::SampleReport;
using testing::Succeeds;
using testing::TemporaryFolder;

class StoreReportTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();

  [[nodiscard]] std::string Path(std::string_view name) const {
    return store_.path() + "/" + std::string(name);
  }
  [[nodiscard]] bool Exists(std::string_view name) const { return std::filesystem::exists(Path(name)); }
};

TEST_F(StoreReportTest, AReportCanBeReadOnceItIsWrittenAndReplaced) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  EXPECT_THAT(store_.LoadReport(crash), FailsWith(ENOENT));
  Report report = SampleReport(crash.id);
  for (const char* sentence : {"null pointer read", "another\xff"}) {
    report.cause.old_sentence = sentence;
    ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
    const auto read = store_.LoadReport(crash);
    ASSERT_THAT(read, Succeeds());
    EXPECT_EQ(read->cause.old_sentence, sentence);
  }
  struct stat status{};
  ASSERT_EQ(::stat((store_.PathOf(crash) + "/report.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

/// Its owner can put one there; obit has nothing that would get it out of the way.
TEST_F(StoreReportTest, AFolderInThePlaceOfAFileIsSeenBeforeAnythingIsWritten) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const Report report = SampleReport(crash.id);
  for (const char* name : {"report.json", "report.json.new"}) {
    const std::string place = store_.PathOf(crash) + "/" + name;
    ASSERT_EQ(::mkdir(place.c_str(), 0700), 0);
    const auto before = std::filesystem::last_write_time(store_.PathOf(crash));
    const auto written = store_.WriteReport(crash, report, {});
    EXPECT_THAT(written, FailsWith(EISDIR)) << name;
    EXPECT_TRUE(!written && IsInTheWay(written.error()));
    EXPECT_EQ(std::filesystem::last_write_time(store_.PathOf(crash)), before);
    ASSERT_EQ(::rmdir(place.c_str()), 0);
  }
  EXPECT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
}

TEST_F(StoreReportTest, WithoutARecordOfObitsNothingIsPutBesideIt) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const std::string record = store_.PathOf(crash) + "/crash.json";
  ASSERT_EQ(::unlink(record.c_str()), 0);
  ASSERT_EQ(::symlink("report.json", record.c_str()), 0);
  EXPECT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), FailsWith(EPERM));
}

TEST_F(StoreReportTest, TheHeadOfAReportIsReadWithoutTheRest) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  EXPECT_THAT(store_.LoadReportHead(crash), FailsWith(ENOENT));
  Report report = SampleReport(crash.id);
  for (const std::size_t message : {0, 100'000}) {  // a head that is long, too
    report.cause.message.assign(message, 'x');
    report.stacks.resize(1000);
    ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
    const auto head = store_.LoadReportHead(crash);
    ASSERT_THAT(head, Succeeds());
    EXPECT_EQ(head->report.cause, report.cause);
    EXPECT_EQ(head->report.fingerprint, report.fingerprint);
  }
}

TEST_F(StoreReportTest, AReportOfAnOlderVersionIsInTheGroupOfToday) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  Report report{.id = crash.id};
  report.fingerprint = {0, "0000000000000001", {"old"}};
  report.modules = {{.path = "/usr/bin/shop"}};
  report.stacks = {{.frames = {{.function = "pay", .module = 0}}}};
  ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
  const Report of_today = store_.LoadReport(crash).value();
  EXPECT_EQ(of_today.fingerprint.version, Report::Fingerprint::kVersion);
  EXPECT_THAT(of_today.fingerprint.frames, ::testing::ElementsAre("shop!pay"));
  EXPECT_EQ(of_today.own_frame, 0u);
  EXPECT_EQ(store_.LoadReportHead(crash)->report.fingerprint, of_today.fingerprint);
  EXPECT_EQ(store_.LoadReportAsWritten(crash)->fingerprint, report.fingerprint);
}

TEST_F(StoreReportTest, AReportOfALaterVersionStaysInItsGroup) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  Report report = SampleReport(crash.id);
  report.fingerprint = {1000, "0000000000000001", {"new"}};
  ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
  EXPECT_EQ(store_.LoadReport(crash)->fingerprint, report.fingerprint);
  EXPECT_EQ(store_.LoadReportHead(crash)->report.fingerprint, report.fingerprint);
}

TEST_F(StoreReportTest, StampsTellReportsApart) {
  const CrashLocation none = CommitCrash(store_, SampleRecord()), crash = CommitCrash(store_, SampleRecord());
  const CrashLocation crashes[] = {none, crash};
  ReportStamp before;
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), Succeeds());
    const auto stamps = store_.ReportStamps(crash.day, crashes);
    ASSERT_THAT(stamps, Succeeds());
    EXPECT_EQ(stamps->at(0), ReportStamp{});
    EXPECT_NE(stamps->at(1), before);
    EXPECT_EQ(store_.LoadReportHead(crash)->stamp, stamps->at(1));
    before = stamps->at(1).value();
  }
}

TEST_F(StoreReportTest, AReportMakesItsDayLookChanged) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const timespec long_ago[] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, Path("crashes/" + crash.day).c_str(), long_ago, 0), 0);
  ASSERT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), Succeeds());
  EXPECT_NE(store_.DayChanged(crash.day), 1'000'000'000);
}

TEST_F(StoreReportTest, AReportOfAnotherCrashIsRefused) {
  const CrashLocation one = CommitCrash(store_, SampleRecord()), two = CommitCrash(store_, SampleRecord());
  EXPECT_THAT(store_.WriteReport(one, SampleReport(two.id), {}), FailsWith(EINVAL));
  ASSERT_THAT(store_.WriteReport(two, SampleReport(two.id), {}), Succeeds());
  std::filesystem::copy_file(store_.PathOf(two) + "/report.json", store_.PathOf(one) + "/report.json");
  EXPECT_THAT(store_.LoadReport(one), FailsWith(EBADMSG));
}

TEST_F(StoreReportTest, AReportOfACrashThatIsGoneIsENOENT) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), FailsWith(ENOENT));
}

TEST_F(StoreReportTest, AReportThatIsBeingWrittenIsEBUSY) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const auto dir = Open(store_.PathOf(crash), O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(dir, Succeeds());
  ASSERT_EQ(::flock(dir->get(), LOCK_EX), 0);
  EXPECT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), FailsWith(EBUSY));
}

TEST_F(StoreReportTest, RepeatsLieBesideTheirCrash) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  EXPECT_THAT(store_.LoadRepeats(crash), FailsWith(ENOENT));
  EXPECT_FALSE(store_.PresenceOf(crash).repeated);
  for (const std::uint64_t count : {3u, 31u}) {
    ASSERT_THAT(store_.WriteRepeats(crash, {.id = crash.id, .crashes = count, .first = 1, .last = 2}),
                Succeeds());
    const auto repeats = store_.LoadRepeats(crash);
    ASSERT_THAT(repeats, Succeeds());
    EXPECT_EQ(repeats->crashes, count);
  }
  EXPECT_TRUE(store_.PresenceOf(crash).repeated);
}

TEST_F(StoreReportTest, RepeatsOfAnotherCrashOrOfNoneAreRefused) {
  const CrashLocation one = CommitCrash(store_, SampleRecord()), two = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(store_.WriteRepeats(one, {.id = two.id, .crashes = 1}), Succeeds());
  EXPECT_THAT(store_.LoadRepeats(one), FailsWith(EBADMSG));
  ASSERT_THAT(store_.Remove(two), Succeeds());
  EXPECT_THAT(store_.WriteRepeats(two, {.id = two.id, .crashes = 1}), FailsWith(ENOENT));
}

TEST_F(StoreReportTest, AReportThatIsTooLargeIsNotWritten) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), Succeeds());
  Report large = SampleReport(crash.id);
  large.cause.message.assign(17 << 20, 'x');
  EXPECT_THAT(store_.WriteReport(crash, large, {}), FailsWith(EFBIG));
  EXPECT_THAT(store_.LoadReport(crash), Succeeds());
}

TEST_F(StoreReportTest, AReportTakesThePlaceOfTheOneBefore) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  EXPECT_THAT(store_.LoadReport(crash), FailsWith(ENOENT));
  for (const char* failure : {"first", "second"}) {
    ASSERT_THAT(store_.WriteReport(crash, {.id = crash.id, .failure = failure}, {}), Succeeds());
    const auto report = store_.LoadReport(crash);
    ASSERT_THAT(report, Succeeds());
    EXPECT_EQ(report->failure, failure);
  }
  struct stat status{};
  ASSERT_EQ(::stat((store_.PathOf(crash) + "/report.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST_F(StoreReportTest, AReportOfRootIsItsOwners) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  for (const char* file : {"", "/crash.json"})
    ASSERT_EQ(::chown((store_.PathOf(crash) + file).c_str(), 65534, 65533), 0);
  ASSERT_THAT(store_.WriteReport(crash, {.id = crash.id}, {}), Succeeds());
  struct stat status{};
  ASSERT_EQ(::stat((store_.PathOf(crash) + "/report.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 65534u);
  EXPECT_EQ(status.st_gid, 65533u);
}

TEST_F(StoreReportTest, LoadReportRefusesWhatIsNone) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const Report foreign{.id = "0000000000000001"};
  EXPECT_THAT(store_.WriteReport(crash, foreign, {}), FailsWith(EINVAL));
  const Fd dir = Open(store_.PathOf(crash), O_RDONLY | O_DIRECTORY).value();
  ASSERT_THAT(WriteFileAtomically(dir, kReportFile, ReportToJson(foreign), 0600), Succeeds());
  EXPECT_THAT(store_.LoadReport(crash), FailsWith(EBADMSG)) << "it is of another crash";
  ASSERT_THAT(WriteFileAtomically(dir, kReportFile, "{", 0600), Succeeds());
  EXPECT_THAT(store_.LoadReport(crash), FailsWith(EBADMSG));
  ASSERT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_THAT(store_.LoadReport(crash), FailsWith(ENOENT));
  EXPECT_THAT(store_.WriteReport(crash, {.id = crash.id}, {}), FailsWith(ENOENT));
}

TEST_F(StoreReportTest, ReportsAndRemovalsMayMeet) {
  constexpr int kRounds = 300;
  for (int i = 0; i < kRounds; ++i) {
    const CrashLocation crash = CommitCrash(store_, SampleRecord());
    std::jthread analyzer([&] {
      while (store_.WriteReport(crash, {.id = crash.id}, {})) continue;
    });
    while (!store_.LoadReport(crash)) continue;
    EXPECT_THAT(store_.Remove(crash), Succeeds());
  }
  EXPECT_TRUE(std::filesystem::is_empty(Path("incoming")));
}

}  // namespace
}  // namespace obit
