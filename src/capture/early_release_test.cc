// A process is gone before its memory is read.

#include "capture/early_release.h"

#include <fcntl.h>
#include <unistd.h>

#include "capture/test_minimal_beside.h"

namespace obit {
namespace {

using testing::Bytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kId;
using testing::kLarge;
using testing::MinimalBesideTest;
using testing::Parked;
using testing::Succeeds;

/// Sends what the kernel would: the memory of the process.
std::function<void(Fd&)> SendingMemory(const CoreLayout& core, const Parked& process) {
  return [&core, memory = std::make_shared<ProcessMemory>(process.Open())](Fd& server) {
    if (!WriteAll(server, core.Head())) return;
    Bytes bytes(1 << 20);
    for (const CoreRun& run : core.runs())
      for (std::uint64_t at = 0; at < run.file_bytes;) {
        const auto part = std::span(bytes).first(std::min<std::uint64_t>(run.file_bytes - at, bytes.size()));
        if (!ReadProcessMemory(memory->mem, run.address + at, part) || !WriteAll(server, part)) return;
        at += part.size();
      }
    AwaitRelease(server);
  };
}

Fd FileOf(std::string_view text) { return testing::MemoryFile(std::as_bytes(std::span(text))); }

MemoryOutlook Outlook() {
  return {.ties = {},
          .host = {.pressure = {}, .total = 1ULL << 40, .available = 1ULL << 40},
          .room_in_cgroup = UINT64_MAX,
          .room_to_commit = UINT64_MAX,
          .meminfo = FileOf("MemTotal: 1000 kB\nMemAvailable: 900 kB\n"),
          .pressure = {}};
}

class EarlyReleaseTest : public MinimalBesideTest {
 protected:
  void SetUp() override {
    auto device = Open("/dev/userfaultfd", O_RDONLY);
    if (!device) GTEST_SKIP() << "/dev/userfaultfd cannot be opened: " << device.error().what;
    device_ = std::move(*device);
    prepare_ = [this](CaptureJob& job) {
      job.outlook = Outlook();
      job.keep.userfaults = &device_;
      job.record.process.threads = 1;
      job.record.process.resident_bytes = 2 * kLarge;
      if (change_) change_(job);
    };
  }
  /// One that may go first goes as soon as it may.
  Result<CrashRecord> RunAndEnd(Parked& process, const CoreLayout& core) {
    at_step_ = [&](CaptureStep step) {
      if (step != CaptureStep::kKept) return;
      if (before_end_) before_end_();
      process.End();
    };
    auto record = Run(SendingMemory(core, process), process.TakeMemory());
    at_step_ = nullptr;
    return record;
  }
  /// The plain core that is stored, which is discarded.
  Bytes TakeCore() {
    CoreReader reader = *CoreReader::Open(*OpenAt(Folder(), kCoreFile, O_RDONLY));
    Bytes core(reader.size());
    EXPECT_THAT(reader.ReadAt(0, core), Succeeds());
    Discard();
    return core;
  }
  Bytes HeldCore(const Parked& process, const CoreLayout& core) {
    change_ = [](CaptureJob& job) { job.outlook.reset(); };
    const auto record = Run(SendingMemory(core, process), process.Open());
    EXPECT_THAT(record, Succeeds());
    EXPECT_THAT(steps_, ElementsAre(CaptureStep::kReleased));
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
    change_ = nullptr;
    return TakeCore();
  }

  Fd device_;
  std::function<void(CaptureJob&)> change_;
  std::function<void()> before_end_;
};

/// Where its end changes something, too: the kernel clears the id in its control block (mm_release() of
/// kernel/fork.c).
TEST_F(EarlyReleaseTest, TheCoreIsTheSameAsOfAProcessThatIsHeld) {
  Parked process(kLarge, 0, /*noise=*/true);
  const CoreLayout core = process.Core();
  const Bytes held = HeldCore(process, core);
  const auto record = RunAndEnd(process, core);
  ASSERT_THAT(record, Succeeds());
  EXPECT_THAT(steps_, ElementsAre(CaptureStep::kKept, CaptureStep::kCopied));
  const CrashRecord::Capture& capture = record->capture;
  EXPECT_EQ(capture.outcome, CrashOutcome::kFull) << capture.reason;
  EXPECT_THAT(capture.kept_because, HasSubstr("there is room for"));
  EXPECT_EQ(capture.held_because, "");
  ASSERT_TRUE(capture.copied_seconds);
  EXPECT_GT(*capture.copied_seconds, capture.held_seconds);
  EXPECT_EQ(TakeCore(), held);
}

struct Reason {
  const char* why;
  std::function<void(CaptureJob&)> change;
};

TEST_F(EarlyReleaseTest, IsHeldForEachReason) {
  const Fd none;
  const Reason reasons[] = {
      {"capture.early_release says never",
       [](CaptureJob& job) { job.keep.refused = "capture.early_release says never"; }},
      {"/dev/userfaultfd", [&](CaptureJob& job) { job.keep.userfaults = &none; }},
      {"could not be told in time", [](CaptureJob& job) { job.outlook.reset(); }},
      {"process 12 has the same memory",
       [](CaptureJob& job) { job.outlook->ties.hold = "process 12 has the same memory"; }},
      {"only 1 MiB of memory", [](CaptureJob& job) { job.record.process.resident_bytes = 1 << 20; }},
      {"not all of its threads are known", [](CaptureJob& job) { job.record.process.threads = 2; }},
      {"its cgroup may take only", [](CaptureJob& job) { job.outlook->room_in_cgroup = 0; }},
  };
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  for (const Reason& reason : reasons) {
    SCOPED_TRACE(reason.why);
    change_ = reason.change;
    const auto record = Run(SendingMemory(core, process), process.Open());
    ASSERT_THAT(record, Succeeds());
    EXPECT_THAT(steps_, ElementsAre(CaptureStep::kReleased));
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
    EXPECT_THAT(record->capture.held_because, HasSubstr(reason.why));
    EXPECT_EQ(record->capture.kept_because, "");
    EXPECT_FALSE(record->capture.copied_seconds);
    Discard();
  }
}

TEST_F(EarlyReleaseTest, ALockedFileThatIsMappedIsAReason) {
  const Parked process(kLarge);
  const std::vector<Mapping> maps = *ReadMappings(process.memory().maps);
  const auto file = std::ranges::find_if(maps, [](const Mapping& one) { return one.inode != 0; });
  ASSERT_NE(file, maps.end());
  change_ = [&](CaptureJob& job) {
    job.outlook->ties.locked = {{file->device_major, file->device_minor, file->inode}};
  };
  const CoreLayout core = process.Core();
  const auto record = Run(SendingMemory(core, process), process.Open());
  ASSERT_THAT(record, Succeeds());
  EXPECT_THAT(record->capture.held_because, HasSubstr("is mapped and locked"));
}

/// It has what the capture had until then, or the minimal core, and says why.
TEST_F(EarlyReleaseTest, AfterItsTimeTheMinimalCoreIsLeft) {
  Parked process(kLarge);
  const CoreLayout core = process.Core();
  change_ = [](CaptureJob& job) { job.keep.timeout = std::chrono::nanoseconds(1); };
  const auto record = RunAndEnd(process, core);
  ASSERT_THAT(record, Succeeds());
  EXPECT_THAT(steps_, ElementsAre(CaptureStep::kKept, CaptureStep::kCopied));
  EXPECT_THAT(record->capture.reason, HasSubstr("kept long enough"));
  CheckMinimal(*record, core, process);
}

TEST_F(EarlyReleaseTest, WhenOthersWantTheMemoryTheMinimalCoreIsLeft) {
  Parked process(kLarge);
  const CoreLayout core = process.Core();
  change_ = [](CaptureJob& job) {
    job.outlook->meminfo = FileOf("MemTotal: 1000 kB\nMemAvailable: 10 kB\n");
  };
  const auto record = RunAndEnd(process, core);
  ASSERT_THAT(record, Succeeds());
  EXPECT_THAT(record->capture.reason, HasSubstr("others wanted memory"));
  CheckMinimal(*record, core, process);
}

TEST_F(EarlyReleaseTest, IsComparedWithWhatTheKernelSentBefore) {
  Parked process(kLarge);
  const CoreLayout core = process.Core();
  change_ = [](CaptureJob& job) { job.verify = true; };
  const std::uint64_t changed = process.heap() + (std::uint64_t{20} << 20);
  const Fd memory = *Open(fmt::format("/proc/{}/mem", process.pid()), O_RDWR);
  before_end_ = [&] {
    ASSERT_THAT(WriteAllAt(memory, std::as_bytes(std::span("another")), changed), Succeeds());
  };
  const auto record = RunAndEnd(process, core);
  ASSERT_THAT(record, Succeeds());
  EXPECT_THAT(steps_, ElementsAre(CaptureStep::kKept, CaptureStep::kCopied));
  ASSERT_TRUE(record->capture.verified) << record->capture.verify_reason;
  const Verification& verified = *record->capture.verified;
  EXPECT_GT(verified.bytes, core.core_bytes() / 2);
  EXPECT_EQ(verified.different_bytes, 4096u);
  ASSERT_EQ(verified.differences.size(), 1u);
  EXPECT_EQ(verified.differences[0].address, changed / 4096 * 4096);
}

}  // namespace
}  // namespace obit
