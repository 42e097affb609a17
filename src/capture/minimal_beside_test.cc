// A full core that ends early, by whatever, becomes a minimal one.

#include "capture/minimal_beside.h"

#include <optional>

#include <sys/socket.h>
#include <sys/stat.h>

#include "capture/minimal.h"
#include "capture/test_minimal_beside.h"
#include "capture/test_sync.h"

namespace obit {
namespace {

using testing::DiskFault;
using testing::kLarge;
using testing::MinimalBesideTest;
using testing::Parked;
using testing::Sending;
using testing::Succeeds;

TEST_F(MinimalBesideTest, AFullCoreThatIsDoneNeedsNone) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  std::atomic<off_t> most = 0, last = 0;
  const auto record = RunWith(
      [&](int) {
        struct stat status{};
        last = ::fstat(minimal_, &status) == 0 ? status.st_size : -1;
        most = std::max<off_t>(most, last);
        return 0;
      },
      core, process.Open());
  ASSERT_THAT(record, Succeeds());
  EXPECT_GT(most, 0) << "there was one";
  EXPECT_EQ(last, 0) << "its room is for the seek table, the last of all writes";
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_EQ(record->capture.method, CaptureMethod::kDirect);
  EXPECT_EQ(record->capture.core_bytes, core.core_bytes());
  EXPECT_EQ(record->capture.full_bytes, std::nullopt);
}

/// Some writes to try: all of the first ones, among which are those of the minimal core, then fewer.
int NextOf(int number) { return number + (number < 24 ? 1 : 17); }

/// What comes of a core that ends at each write, by `end`: truncated until the minimal one is there, minimal
/// until the full one is, of which nothing is missing then. Not `in_order`: the last writes of the minimal
/// one may come before or behind the look at what ends it, as threads run.
class EndsTest : public MinimalBesideTest {
 protected:
  void Check(const std::function<Result<CrashRecord>(int)>& end_at, const CoreLayout& core,
             const Parked& process, bool in_order = true) {
    int minimal = 0, before = 0;
    for (int number = 1;; number = NextOf(number)) {  // the first one is of begun.json
      SCOPED_TRACE(number);
      const auto record = end_at(number);
      ASSERT_THAT(record, Succeeds());
      const CrashOutcome outcome = record->capture.outcome;
      if (outcome == CrashOutcome::kFull) break;
      if (outcome == CrashOutcome::kMinimal) CheckMinimal(*record, core, process);
      ASSERT_FALSE(HasFailure());
      const bool by_chance = !in_order && number < 20;
      EXPECT_TRUE(minimal == 0 || by_chance || outcome == CrashOutcome::kMinimal) << record->capture.reason;
      ++(outcome == CrashOutcome::kMinimal ? minimal : before);
      Discard();
    }
    std::cout << before << " without, " << minimal << " with a minimal core\n";
    EXPECT_GT(before, 0);
    EXPECT_LT(before, 20) << "it comes first";
    EXPECT_GT(minimal, before);
  }
};

TEST_F(EndsTest, ADiskThatIsFullAtEachWrite) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Check(
      [&](int full_from) {
        return RunWith([&](int number) { return number >= full_from ? ENOSPC : 0; }, core, process.Open());
      },
      core, process);
}

TEST_F(EndsTest, AKernelThatHangsUpAtEachWrite) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Check(
      [&](int at) {
        return RunWith([&](int number) { return number == at ? (::shutdown(connection_, SHUT_RDWR), 0) : 0; },
                       core, process.Open());
      },
      core, process, /*in_order=*/false);
}

TEST_F(EndsTest, AWorkerThatIsKilledAtEachWrite) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Check(
      [&](int at) {
        Kill(at, core, process);
        return Recovered();
      },
      core, process);
}

TEST_F(EndsTest, AProcessThatIsKilledAtEachWrite) {
  std::optional<Parked> process;
  int minimal = 0;
  for (const int at : {8, 16, 32, 64}) {
    process.emplace(kLarge);
    const CoreLayout core = process->Core();
    const auto record =
        RunWith([&](int number) { return number == at ? (process->End(), 0) : 0; }, core, process->Open());
    ASSERT_THAT(record, Succeeds());
    EXPECT_NE(record->capture.outcome, CrashOutcome::kFull);
    if (record->capture.outcome == CrashOutcome::kMinimal) {
      CheckMinimal(*record, core, *process);
      ++minimal;
    }
    Discard();
  }
  EXPECT_GE(minimal, 3);
}

/// Memory that no mapping has comes by the stream, and this kernel sends nothing of it.
TEST_F(MinimalBesideTest, ADeadlineLeavesAMinimalCore) {
  const Parked process(kLarge);
  CoreLayout core = process.Core();
  std::vector<CoreRun> runs(core.runs().begin(), core.runs().end());
  runs.insert(runs.begin(), {0x1000, 4096, 4096, PF_R});
  core = CoreLayout(ElfClass::k64, EM_X86_64, process.Notes(), std::move(runs));
  const auto record = Run(
      [&](Fd& server) {
        if (WriteAll(server, core.Head())) AwaitRelease(server);
      },
      process.Open(), {.progress = std::chrono::milliseconds(100)});
  ASSERT_THAT(record, Succeeds());
  CheckMinimal(*record, core, process);
  EXPECT_NE(record->capture.reason.find("no byte came for"), std::string::npos) << record->capture.reason;
  EXPECT_EQ(record->capture.stream_reason, "") << "nothing of it came by stream";
}

TEST_F(MinimalBesideTest, ASmallProcessHasNone) {
  const Parked process;
  const CoreLayout core = process.Core();
  const auto record = RunWith([](int number) { return number > 20 ? ENOSPC : 0; }, core, process.Open());
  ASSERT_THAT(record, Succeeds());
  EXPECT_NE(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_NE(record->capture.outcome, CrashOutcome::kMinimal);
}

/// Its minimal core would take longer than its memory.
TEST_F(MinimalBesideTest, AProcessWithManyNotesHasNone) {
  const Parked process(kLarge);
  const CoreLayout few = process.Core();
  const CoreLayout core(ElfClass::k64, EM_X86_64, process.Notes(/*of_stack_only=*/true),
                        {few.runs().begin(), few.runs().end()});
  std::atomic<off_t> most = 0;
  const auto record = RunWith(
      [&](int) {
        struct stat status{};
        if (::fstat(minimal_, &status) == 0) most = std::max<off_t>(most, status.st_size);
        return 0;
      },
      core, process.Open());
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_EQ(most, 0);
}

/// After this write the disk of a test is full: the minimal core is there, the full one is not.
constexpr int kBegun = 40;

TEST_F(MinimalBesideTest, SaysThatItMayNotSurviveAPowerCut) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  unsyncable = kMinimalFile;
  const auto record = RunWith([](int number) { return number > kBegun ? ENOSPC : 0; }, core, process.Open());
  unsyncable.clear();
  ASSERT_THAT(record, Succeeds());
  CheckMinimal(*record, core, process);
  EXPECT_FALSE(record->capture.synced);
  EXPECT_NE(record->capture.reason.find("may not survive a power cut"), std::string::npos)
      << record->capture.reason;
}

TEST_F(MinimalBesideTest, ADiskThatDoesNotMoveItLeavesATruncatedOne) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  const DiskFault fault(
      {.unmoved = kMinimalFile, .before_write = [&] { return writes_++ > kBegun ? EIO : 0; }});
  const auto record = Run(Sending(core, std::byte{'s'}), process.Open());
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_GT(record->capture.core_bytes, 1U << 20);
  EXPECT_EQ(record->files.core, kCoreFile);
}

TEST_F(MinimalBesideTest, WithoutMemoryToLookAtItBothAreLeftForRecovery) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  const auto record = RunWith(
      [](int number) {
        testing::disk.lacks_memory = number > kBegun;
        return number > kBegun ? ENOSPC : 0;
      },
      core, process.Open());
  EXPECT_THAT(record, testing::FailsWith(ENOMEM));
  ASSERT_TRUE(Has(kMinimalFile));
  EXPECT_TRUE(Has(kCoreFile));
  const auto recovered = Recovered();
  ASSERT_THAT(recovered, Succeeds());
  EXPECT_EQ(recovered->capture.outcome, CrashOutcome::kMinimal);
  EXPECT_EQ(recovered->capture.reason, "killed in a test");
}

TEST_F(MinimalBesideTest, ACoreLimitIsNoEarlyEnd) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  const auto record = Run(Sending(core, std::byte{'s'}), process.Open(), {}, core.core_bytes() - 1);
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.core_bytes, core.core_bytes() - 1);
  EXPECT_TRUE(record->capture.reason.starts_with("RLIMIT_CORE is")) << record->capture.reason;
}

TEST_F(MinimalBesideTest, AFullCoreThatHasAllOfItIsWorthMore) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Kill(100, core, process);
  CoreHead head = HeadForMinimal();
  head.Feed(core.Head());
  ASSERT_TRUE(head.complete());
  const auto kept = [&](std::uint64_t plain) {
    CrashRecord record;
    auto fell_back = FallBackToMinimal(Folder(), *OpenAt(Folder(), kMinimalFile, O_RDONLY), {head, plain},
                                       FrameCheck::kShape, record, nullptr);
    EXPECT_THAT(fell_back, Succeeds());
    return !*fell_back;
  };
  EXPECT_TRUE(kept(core.core_bytes()));
  EXPECT_TRUE(Has(kMinimalFile)) << "nothing was changed";
  const CoreHead::Segment* stack = nullptr;
  for (const CoreHead::Segment& segment : head.segments())
    if (segment.address <= process.sp() && process.sp() < segment.address + segment.bytes) stack = &segment;
  ASSERT_NE(stack, nullptr);
  EXPECT_FALSE(kept(stack->offset + (process.sp() - stack->address)));
  EXPECT_FALSE(Has(kMinimalFile));
}

}  // namespace
}  // namespace obit
