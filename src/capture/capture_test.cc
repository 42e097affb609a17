#include "capture/capture.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "capture/fake_kernel.h"
#include "capture/test_sync.h"
#include "crash/record_json.h"
#include "store/core_reader.h"
#include "store/prepared.h"
#include "store/recover.h"
#include "store/store.h"
#include "store/test_cores.h"
#include "store/test_disk.h"

using obit::unsyncable;

/// In the place of the C library's: no disk fails on demand.
extern "C" int fsync(int fd) {
  std::error_code failed;
  const auto name = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), failed).string();
  if (unsyncable.empty() || !name.ends_with(unsyncable)) return static_cast<int>(::syscall(SYS_fsync, fd));
  errno = EIO;
  return -1;
}

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::Bytes;
using testing::Content;
using testing::DiskFault;
using testing::FailsWith;
using testing::Succeeds;

constexpr const char* kId = "0123456789abcdef";

/// One crash against a fake kernel: a store, and the capture as a worker runs it.
class CaptureTest : public ::testing::Test {
 protected:
  CaptureTest() {
    std::string name = "/dev/shm/obit-capture-test.XXXXXX";
    path_ = ::mkdtemp(name.data());
    store_ = *Store::Create(path_);
  }
  ~CaptureTest() override {
    unsyncable.clear();
    std::filesystem::remove_all(path_);
  }

  /// Captures what `crash` sends. With `offer` the exchange of "@@" comes first (its request was read by the
  /// manager).
  Result<CrashRecord> Run(std::function<void(Fd&)> crash, bool with_offer, CaptureDeadlines deadlines = {},
                          std::uint64_t core_max = UINT64_MAX) {
    FakeKernel kernel(std::move(crash));
    const Fd incoming = *Open(path_ + "/incoming", O_RDONLY | O_DIRECTORY);
    PreparedCrash prepared = *PrepareCrash(incoming);
    CaptureJob job;
    job.record.id = kId;
    job.record.time = RealtimeNow();
    job.record.capture.transport = with_offer ? "socket-request" : "socket";
    job.dir = *Duplicate(prepared.dir);
    job.core = std::move(prepared.core);
    job.begun = std::move(prepared.begun);
    job.connection = kernel.TakeServer();
    if (with_offer) {
      std::array<std::byte, 16> request{};
      EXPECT_TRUE(WaitReadable(job.connection, MonotonicNow() + 5'000'000'000));
      EXPECT_EQ(*ReadFull(job.connection, request), request.size());
      job.offer = *DecodeCoredumpRequest(request);
    }
    job.accepted = MonotonicNow();
    job.deadlines = deadlines;
    job.core_max = core_max;
    auto captured = Capture(std::move(job), progress_, [&](CaptureStep) {
      ++released_;
      const auto begun = LoadRecord(prepared.dir, kBegunFile);
      EXPECT_TRUE(begun && begun->id == kId) << "for who has to recover it";
      EXPECT_EQ(begun->capture.core_max.value_or(UINT64_MAX), core_max);
      EXPECT_TRUE(NamePrepared(incoming, prepared, kId));
    });
    if (captured) {
      EXPECT_TRUE(store_.Commit(kId, captured->time));
    }
    return captured;
  }

  std::vector<std::byte> StoredCoreOf(const CrashRecord& record) {
    const CrashLocation location{FormatDay(record.time), record.id};
    auto opened = OpenStoredCore(*store_.OpenFile(location, kCoreFile));
    EXPECT_TRUE(opened) << opened.error().what;
    std::vector<std::byte> core(opened->reader.size());
    EXPECT_EQ(*opened->reader.ReadAt(0, core), core.size());
    return core;
  }

  std::string path_;
  Store store_;
  std::atomic<std::uint64_t> progress_{0};
  int released_ = 0;
};

/// The kernel as it is: negotiates, dumps `core`, waits for the release.
std::function<void(Fd&)> Dumping(std::vector<std::byte> core, CoredumpAgreement* agreed = nullptr) {
  return [core = std::move(core), agreed](Fd& server) {
    const auto agreement = Negotiate(server, {});
    if (agreed != nullptr) *agreed = *agreement;
    if (!agreement || !agreement->dumps()) return;
    if (SendCore(server, core)) AwaitRelease(server);
  };
}

TEST_F(CaptureTest, StoresTheCoreOfARequestConnection) {
  const auto core = SmallCore(1 << 20);
  CoredumpAgreement agreed;
  const auto record = Run(Dumping(core, &agreed), true);
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_EQ(record->capture.core_bytes, core.size());
  EXPECT_EQ(record->capture.promised_bytes, core.size());
  EXPECT_EQ(record->signal.number, 11);
  EXPECT_EQ(record->thread.tid, 12345);
  EXPECT_EQ(agreed.mask, kCoredumpKernel | kCoredumpWait);
  EXPECT_EQ(released_, 1);
  EXPECT_EQ(StoredCoreOf(*record), core);
}

/// Bytes of no pattern: what is stored of them is as long as they are.
std::vector<std::byte> NoiseCore(std::size_t memory_bytes) {
  CoreBuilder builder(EM_X86_64);
  std::vector<std::byte> memory(memory_bytes);
  std::mt19937 noise(1);
  for (std::byte& byte : memory) byte = static_cast<std::byte>(noise());
  builder.AddSegment(0x400000, PF_R, memory, memory.size());
  return builder.Build();
}

TEST_F(CaptureTest, CountsWhatItReadsAndWhatItWrites) {
  const auto core = NoiseCore(1 << 20);
  const auto record = Run(Dumping(core), true);
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_GT(record->capture.stored_bytes, 1u << 20);
  EXPECT_GT(progress_, core.size() + (1 << 20)) << "a slow disk is progress, too";
}

TEST_F(CaptureTest, StoresTheCoreOfAPlainConnection) {
  const auto core = SmallCore(300'000);
  const auto record = Run([&](Fd& server) { (void)SendCore(server, core); }, false);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(StoredCoreOf(*record), core);
}

TEST_F(CaptureTest, EndsAtTheCoreLimit) {
  const auto core = SmallCore(1 << 20);
  for (const std::uint64_t limit : {std::uint64_t{4096}, std::uint64_t{300'001}, core.size() - 1}) {
    const auto record = Run(Dumping(core), true, {}, limit);
    ASSERT_TRUE(record) << record.error().what;
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    EXPECT_EQ(record->capture.reason, fmt::format("RLIMIT_CORE is {} bytes", limit));
    EXPECT_EQ(record->capture.core_bytes, limit);
    EXPECT_EQ(record->capture.promised_bytes, core.size());
    EXPECT_EQ(record->signal.number, 11) << "its head is read whole";
    EXPECT_EQ(StoredCoreOf(*record),
              std::vector(core.begin(), core.begin() + static_cast<std::ptrdiff_t>(limit)));
    ASSERT_TRUE(store_.Remove({FormatDay(record->time), kId}));
  }
  const auto record = Run(Dumping(core), true, {}, core.size());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
}

/// A core of 300 threads of a processor with AMX, whose registers are 11 KiB a thread (NT_X86_XSTATE): notes
/// of 3.5 MB, in the kernel's order.
std::vector<std::byte> CoreOfLargeRegisters() {
  constexpr int kThreads = 300;
  CoreBuilder builder(EM_X86_64);
  for (int i = 0; i < kThreads; ++i) {
    std::vector<std::byte> status(336), registers(512), extended(11 * 1024, static_cast<std::byte>(i));
    status[12] = std::byte{11};  // pr_cursig: SIGSEGV
    const std::int32_t tid = 1000 + i;
    std::memcpy(&status[32], &tid, sizeof tid);  // pr_pid
    builder.AddNote("CORE", NT_PRSTATUS, status);
    if (i == 0) {
      std::vector<std::byte> info(136);
      std::memcpy(&info[40], "large", 5);  // pr_fname
      builder.AddNote("CORE", NT_PRPSINFO, info);
    }
    builder.AddNote("CORE", NT_FPREGSET, registers);
    builder.AddNote("LINUX", NT_X86_XSTATE, extended);
  }
  const std::vector<std::byte> memory(1 << 20, std::byte{7});
  builder.AddSegment(0x400000, PF_R, memory, memory.size());
  return builder.Build();
}

TEST_F(CaptureTest, StoresTheCoreOfThreadsWithLargeRegisters) {
  const auto core = CoreOfLargeRegisters();
  const auto record = Run(Dumping(core), true);
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_EQ(record->thread.tid, 1000) << "the first one crashed";
  EXPECT_EQ(record->process.comm, "large");
  EXPECT_EQ(record->signal.number, 11);
  EXPECT_EQ(StoredCoreOf(*record), core);
}

/// A kernel that reads the answer and then says `mark`.
std::function<void(Fd&)> Marking(CoredumpMark mark) {
  return [mark](Fd& server) {
    EXPECT_TRUE(WriteAll(server, EncodeCoredumpRequest({})));
    std::array<std::byte, kCoredumpAckMin> ack{};
    EXPECT_EQ(*ReadFull(server, ack), ack.size());
    EXPECT_TRUE(WriteAll(server, std::as_bytes(std::span(&mark, 1))));
  };
}

TEST_F(CaptureTest, RecordsEachRefusal) {
  for (const auto mark : {CoredumpMark::kMinSize, CoredumpMark::kMaxSize, CoredumpMark::kUnsupported,
                          CoredumpMark::kConflicting, static_cast<CoredumpMark>(99)}) {
    const auto record = Run(Marking(mark), true);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kFailed);
    EXPECT_NE(record->capture.reason.find(Describe(mark)), std::string::npos) << record->capture.reason;
    EXPECT_TRUE(record->files.core.empty());
    ASSERT_TRUE(store_.Remove({FormatDay(record->time), kId}));
  }
}

TEST_F(CaptureTest, EndsWhenTheKernelSaysNothing) {
  const auto record = Run(
      [](Fd& server) {
        EXPECT_TRUE(WriteAll(server, EncodeCoredumpRequest({})));
        std::array<std::byte, kCoredumpAckMin> ack{};
        (void)ReadFull(server, ack);
        AwaitRelease(server);  // no mark
      },
      true, {.progress = 50ms});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFailed);
  EXPECT_NE(record->capture.reason.find("did not react"), std::string::npos) << record->capture.reason;
  EXPECT_EQ(released_, 1);
}

TEST_F(CaptureTest, SurvivesAHangUpAtEveryByteOfTheExchange) {
  // All that the kernel sends up to the first bytes of the core; it hangs up after `n` bytes of it.
  std::vector<std::byte> wire(sizeof(CoredumpMark));  // kAccepted
  const auto core = SmallCore(4096);
  wire.insert(wire.end(), core.begin(), core.begin() + 200);
  for (std::size_t n = 0; n <= wire.size(); ++n) {
    const auto record = Run(
        [&](Fd& server) {
          EXPECT_TRUE(WriteAll(server, EncodeCoredumpRequest({})));
          std::array<std::byte, kCoredumpAckMin> ack{};
          if (n > 0) {
            EXPECT_EQ(*ReadFull(server, ack), ack.size());
          }
          EXPECT_TRUE(WriteAll(server, std::span(wire).first(n)));
        },
        true);
    ASSERT_TRUE(record) << n;
    EXPECT_EQ(record->capture.outcome, n > 4 ? CrashOutcome::kTruncated : CrashOutcome::kFailed) << n;
    EXPECT_FALSE(record->capture.reason.empty()) << n;
    ASSERT_TRUE(store_.Remove({FormatDay(record->time), kId}));
  }
}

TEST_F(CaptureTest, KeepsWhatArrivedOfACutCore) {
  const auto core = SmallCore(600'000);
  // Within the ELF header, the program headers, the notes, the padding, at page borders, inside memory, one
  // byte short.
  for (const std::size_t cut :
       {10ul, 64ul, 100ul, 176ul, 300ul, 4095ul, 4096ul, 8191ul, 262144ul, 300001ul, core.size() - 1}) {
    const auto record = Run([&](Fd& server) { (void)SendCore(server, std::span(core).first(cut)); }, false);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated) << cut;
    EXPECT_EQ(record->capture.core_bytes, cut);
    EXPECT_NE(record->capture.reason.find(std::to_string(cut)), std::string::npos) << record->capture.reason;
    EXPECT_EQ(StoredCoreOf(*record), std::vector(core.begin(), core.begin() + static_cast<long>(cut)));
    ASSERT_TRUE(store_.Remove({FormatDay(record->time), kId}));
  }
}

TEST_F(CaptureTest, StopsListeningToAPeerThatNeverEnds) {
  const auto core = SmallCore(100'000);
  const auto record = Run(
      [&](Fd& server) {
        if (!WriteAll(server, core)) return;
        const std::vector<std::byte> more(1 << 16);
        while (::send(server.get(), more.data(), more.size(), MSG_NOSIGNAL) > 0) {
        }
      },
      false);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->capture.core_bytes, core.size());
}

TEST_F(CaptureTest, KeepsNothingOfGarbage) {
  const auto record =
      Run([](Fd& server) { (void)SendCore(server, std::vector<std::byte>(100'000, std::byte{'x'})); }, false);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFailed);
  EXPECT_NE(record->capture.reason.find("not an ELF file"), std::string::npos) << record->capture.reason;
  EXPECT_TRUE(record->files.core.empty());
}

TEST_F(CaptureTest, ReleasesAProcessWhoseStreamStalls) {
  const auto core = SmallCore(100'000);
  const auto record = Run(
      [&](Fd& server) {
        EXPECT_TRUE(WriteAll(server, std::span(core).first(50'000)));
        AwaitRelease(server);
      },
      false, {.progress = 50ms});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.core_bytes, 50'000u);
  EXPECT_NE(record->capture.reason.find("no byte came for 50 ms"), std::string::npos)
      << record->capture.reason;
}

TEST_F(CaptureTest, EndsADripAtTheWholeDeadline) {
  const auto core = SmallCore(1 << 20);
  const auto record = Run(
      [&](Fd& server) {
        for (const std::byte b : core)
          if (::send(server.get(), &b, 1, MSG_NOSIGNAL) != 1) return;
      },
      false, {.whole = 300ms});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_NE(record->capture.reason.find("longer than 300 ms"), std::string::npos) << record->capture.reason;
}

TEST_F(CaptureTest, KeepsACoreThatTheDiskDoesNotSync) {
  unsyncable = kCoreFile;
  const auto core = SmallCore(600'000);
  const auto record = Run(Dumping(core), true);
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_FALSE(record->capture.synced);
  EXPECT_EQ(record->capture.reason, "the core may not survive a power cut: fsync: Input/output error");
  EXPECT_EQ(StoredCoreOf(*record), core);
  EXPECT_FALSE(store_.Load({FormatDay(record->time), kId})->capture.synced);
}

TEST_F(CaptureTest, WritesARecordThatTheDiskDoesNotSync) {
  constexpr const char* kWhy =
      "the record may not survive a power cut: write crash.json: fsync: Input/output error";
  unsyncable = "crash.json.new";
  const auto core = SmallCore(600'000);
  const auto record = Run(Dumping(core), true);
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->capture.reason, kWhy);
  EXPECT_EQ(StoredCoreOf(*record), core);
  const auto stored = store_.Load({FormatDay(record->time), kId});
  EXPECT_FALSE(stored->capture.synced);
  EXPECT_EQ(stored->capture.reason, kWhy);
}

TEST_F(CaptureTest, SaysThatTheDiskDoesNotSyncTheFolderOfACrash) {
  unsyncable = std::string("/") + kId;
  const auto record = Run(Dumping(SmallCore(1000)), true);
  ASSERT_TRUE(record) << record.error().what;
  const auto stored = store_.Load({FormatDay(record->time), kId});
  EXPECT_FALSE(stored->capture.synced);
  EXPECT_EQ(stored->capture.reason, "the record may not survive a power cut: fsync: Input/output error");
}

TEST_F(CaptureTest, KeepsAllFramesOfACoreWhoseTableTheDiskDoesNotTake) {
  const auto core = SmallCore(600'000);
  const DiskFault fault({.refuses_tables = true});
  const auto record = Run(Dumping(core), true);
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_NE(record->capture.reason.find("seek table"), std::string::npos) << record->capture.reason;
  EXPECT_EQ(record->capture.core_bytes, core.size());
  EXPECT_EQ(StoredCoreOf(*record), core);
}

}  // namespace
}  // namespace obit
