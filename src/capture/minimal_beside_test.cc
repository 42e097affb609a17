// A full core that ends early, by whatever, becomes a minimal one.

#include "capture/minimal_beside.h"

#include <optional>

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "capture/capture.h"
#include "capture/minimal.h"
#include "capture/minimal_plan.h"
#include "capture/stored_head.h"
#include "capture/test_parked.h"
#include "capture/test_sync.h"
#include "crash/record_json.h"
#include "elf/core_notes.h"
#include "store/prepared.h"
#include "store/recover.h"
#include "store/store.h"
#include "store/test_disk.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::DiskFault;
using testing::kMarked;
using testing::Parked;
using testing::Sending;
using testing::Succeeds;

constexpr const char* kId = "0123456789abcdef";
constexpr std::size_t kLarge = kMinimalBesideMin + (1 << 20);

class MinimalBesideTest : public ::testing::Test {
 protected:
  /// One crash of `process`, whose core is `core`, captured into a prepared folder.
  Result<CrashRecord> Run(const std::function<void(Fd&)>& kernel, ProcessMemory memory,
                          const CaptureDeadlines& deadlines = {}, std::uint64_t core_max = UINT64_MAX) {
    FakeKernel crash(kernel);
    PreparedCrash prepared = *PrepareCrash(incoming_);
    CaptureJob job;
    job.record.id = kId;
    job.record.time = RealtimeNow();
    job.record.host.boot_id = "of now";
    job.record.capture.method = CaptureMethod::kDirect;
    job.dir = *Duplicate(prepared.dir);
    job.core = std::move(prepared.core);
    job.minimal = std::move(prepared.minimal);
    minimal_ = job.minimal.get();
    job.begun = std::move(prepared.begun);
    job.connection = crash.TakeServer();
    connection_ = job.connection.get();
    job.memory = std::move(memory);
    job.accepted = MonotonicNow();
    job.deadlines = deadlines;
    job.core_max = core_max;
    std::atomic<std::uint64_t> progress = 0;
    auto record = Capture(std::move(job), progress, [&] {
      EXPECT_EQ(ListDirectory(prepared.dir)->size(), 3U) << "no file comes or goes while the process waits";
      EXPECT_THAT(NamePrepared(incoming_, prepared, kId), Succeeds());
    });
    if (record) {
      EXPECT_EQ(LoadRecord(Folder(), kRecordFile)->capture.outcome, record->capture.outcome);
      EXPECT_FALSE(OpenAt(Folder(), kMinimalFile, O_RDONLY));
    }
    return record;
  }
  /// The same, with `at_write` before each write to the disk, which gets its number, from 0.
  Result<CrashRecord> RunWith(const std::function<int(int)>& at_write, const CoreLayout& core,
                              ProcessMemory memory) {
    writes_ = 0;
    const DiskFault fault({.before_write = [&] { return at_write(writes_++); }});
    return Run(Sending(core, std::byte{'s'}), std::move(memory));
  }
  /// A worker that is killed before its write number `at`.
  void Kill(int at, const CoreLayout& core, const Parked& process) {
    const pid_t worker = ::fork();
    if (worker == 0) {
      (void)RunWith([&](int number) { return number == at ? (::_exit(0), 0) : 0; }, core, process.Open());
      ::_exit(0);
    }
    testing::Child(worker).Wait();
    const auto names = ListDirectory(incoming_);
    ASSERT_THAT(names, Succeeds());
    ASSERT_EQ(names->size(), 1U);
    if (names->front() != kId) {
      ASSERT_EQ(::renameat(incoming_.get(), names->front().c_str(), incoming_.get(), kId), 0);
    }
  }
  [[nodiscard]] Result<CrashRecord> Recovered() const {
    return Recover(Folder(), {.id = kId, .reason = "killed in a test", .boot_id = "of now"});
  }
  [[nodiscard]] Fd Folder() const { return *OpenAt(incoming_, kId, O_RDONLY | O_DIRECTORY); }
  [[nodiscard]] bool Has(const char* name) const { return OpenAt(Folder(), name, O_RDONLY).has_value(); }
  [[nodiscard]] Bytes Stored(const char* name) const { return Content(*OpenAt(Folder(), name, O_RDONLY)); }
  void Put(const char* name, const Bytes& content) const {
    ASSERT_THAT(WriteFileAtomically(Folder(), name,
                                    {reinterpret_cast<const char*>(content.data()), content.size()}, 0600),
                Succeeds());
  }
  void Discard() const { ASSERT_THAT(store_.Discard(kId), Succeeds()); }

  /// It is a whole minimal core of this process, and the record says of what, and why.
  void CheckMinimal(const CrashRecord& record, const CoreLayout& full, const Parked& process) const {
    const CrashRecord::Capture& capture = record.capture;
    ASSERT_EQ(capture.outcome, CrashOutcome::kMinimal) << capture.reason;
    EXPECT_EQ(capture.method, CaptureMethod::kDirect);
    EXPECT_EQ(capture.detail, Detail::kFull) << "was asked for";
    EXPECT_FALSE(capture.reason.empty());
    EXPECT_EQ(capture.full_bytes, full.core_bytes());
    EXPECT_EQ(capture.stored_bytes, Stored(kCoreFile).size());
    CoreReader reader = *CoreReader::Open(*OpenAt(Folder(), kCoreFile, O_RDONLY));
    const CoreHead head = *ReadStoredHead(reader, HeadForMinimal());
    EXPECT_EQ(head.core_bytes(), reader.size());
    EXPECT_EQ(capture.promised_bytes, reader.size());
    EXPECT_EQ(capture.core_bytes, reader.size());
    EXPECT_TRUE(ParseCoreNotes(head.notes(), head.elf_class(), head.machine()).mappings);
    EXPECT_TRUE(HasMemory(head, process.sp()));
    EXPECT_TRUE(HasMemory(head, process.heap() + kMarked));
    EXPECT_FALSE(HasMemory(head, process.heap() + kLarge - 4096));
  }
  static bool HasMemory(const CoreHead& head, std::uint64_t address) {
    return std::ranges::any_of(head.segments(), [&](const CoreHead::Segment& segment) {
      return segment.address <= address && address - segment.address < segment.bytes;
    });
  }

  testing::TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  Fd incoming_ = *Open(folder_ / "store/incoming", O_RDONLY | O_DIRECTORY);
  std::atomic<int> writes_ = 0;
  int connection_ = -1, minimal_ = -1;  // of the capture that runs
};

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

/// What may be left of each file.
struct Left {
  const char* what;
  std::optional<Bytes> content;  ///< none: it is not there
};

TEST_F(MinimalBesideTest, RecoversWhateverIsLeft) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Kill(100, core, process);
  const Bytes part = Stored(kCoreFile), minimal = Stored(kMinimalFile), begun = Stored(kBegunFile);
  ASSERT_GT(part.size(), 0U);
  ASSERT_GT(minimal.size(), 8192U);
  Discard();
  Bytes whole;
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), process.Open()), Succeeds());
  whole = Stored(kCoreFile);
  Bytes torn = minimal;
  std::fill(torn.end() - 8192, torn.end() - 4096, std::byte{0});  // as a power cut leaves it
  const Left cores[] = {{"none", {}}, {"empty", Bytes()}, {"part", part}, {"whole", whole}};
  const Left minimals[] = {
      {"none", {}},
      {"empty", Bytes()},
      {"half", Bytes(minimal.begin(), minimal.begin() + static_cast<long>(minimal.size() / 2))},
      {"torn", torn},
      {"whole", minimal}};
  for (const Left& full : cores)
    for (const Left& beside : minimals)
      for (const bool has_begun : {true, false}) {
        SCOPED_TRACE(fmt::format("core {}, minimal {}, begun {}", full.what, beside.what, has_begun));
        Discard();
        IncomingCrash left = *store_.Begin(kId);
        left.dir.Reset();
        Put(kBegunFile, has_begun ? begun : Bytes());
        if (full.content) Put(kCoreFile, *full.content);
        if (beside.content) Put(kMinimalFile, *beside.content);
        // A torn one is of another boot: only then is it looked at page by page.
        const bool is_torn = std::string_view(beside.what) == "torn";
        const auto record = Recover(
            Folder(), {.id = kId, .reason = "killed in a test", .boot_id = is_torn ? "of then" : "of now"});
        const bool has_full = std::string_view(full.what) == "whole", has_part = full.content == part;
        const bool has_minimal = beside.content == minimal;
        if (!has_begun && !has_full && !has_part && (!beside.content || beside.content->empty())) {
          EXPECT_EQ(record.error().code, ENOENT);
          continue;
        }
        ASSERT_THAT(record, Succeeds());
        EXPECT_EQ(record->capture.outcome, has_full      ? CrashOutcome::kFull
                                           : has_minimal ? CrashOutcome::kMinimal
                                           : has_part    ? CrashOutcome::kTruncated
                                                         : CrashOutcome::kFailed)
            << record->capture.reason;
        EXPECT_FALSE(Has(kMinimalFile));
        EXPECT_EQ(Has(kCoreFile), !record->files.core.empty());
        EXPECT_EQ(record->capture.reason, has_full ? "" : "killed in a test");
        if (!has_full && has_minimal && has_part) CheckMinimal(*record, core, process);
        if (!has_full && has_minimal) {
          EXPECT_EQ(record->thread.tid, process.pid());
        }
      }
}

/// A capture that was killed, with a minimal core that is whole.
class RecoveredTest : public MinimalBesideTest {
 protected:
  RecoveredTest() : core_(process_.Core()) {
    Kill(100, core_, process_);
    minimal_core_ = Stored(kMinimalFile);
    begun_ = Stored(kBegunFile);
  }

  [[nodiscard]] Fd Core(int flags = O_RDWR) const { return *OpenAt(Folder(), kCoreFile, flags); }
  /// Gives core.zst its seek table, as a writer does that came to its end.
  void EndCore() const { ASSERT_THAT(RecoverCore(Core()), Succeeds()); }
  /// Where a frame begins that is well behind the head, bytes.
  [[nodiscard]] std::uint64_t FarFrame() const {
    std::uint64_t begin = 0, plain = 0;
    const auto found = FindFrames(Core());
    for (const SeekEntry& frame : found->frames) {
      if (plain > (1 << 20)) return begin;
      begin += frame.stored;
      plain += frame.plain;
    }
    ADD_FAILURE() << "there is none";
    return begin;
  }
  void Damage(std::uint64_t at) const {
    ASSERT_THAT(WriteAllAt(Core(), Bytes(16, std::byte{0x55}), at), Succeeds());
  }
  /// All frames of the core of the same process, and no table.
  void PutAllFrames() {
    Discard();
    ASSERT_THAT(Run(Sending(core_, std::byte{'s'}), process_.Open()), Succeeds());
    ASSERT_EQ(::unlinkat(Folder().get(), kRecordFile, 0), 0);
    const std::uint64_t end = FindFrames(Core())->core.stored;
    ASSERT_EQ(::ftruncate(Core().get(), static_cast<off_t>(end)), 0);
    Put(kMinimalFile, minimal_core_);
    Put(kBegunFile, begun_);
  }
  /// It fell back, and says of the full core no more than why it ended.
  void CheckFellBack(const Result<CrashRecord>& record) const {
    ASSERT_THAT(record, Succeeds());
    CheckMinimal(*record, core_, process_);
    EXPECT_EQ(record->capture.reason, "killed in a test");
    EXPECT_TRUE(record->capture.synced);
  }

  const Parked process_{kLarge, 0, /*noise=*/true};  // its core is larger than the minimal one at any time
  const CoreLayout core_;
  Bytes minimal_core_, begun_;  // as they were left
};

TEST_F(RecoveredTest, WithoutASeekTable) {
  const DiskFault fault({.refuses_tables = true});
  CheckFellBack(Recovered());
}

TEST_F(RecoveredTest, ThatWasNotSynced) {
  unsyncable = kCoreFile;
  const auto record = Recovered();
  unsyncable.clear();
  CheckFellBack(record);
}

TEST_F(RecoveredTest, ThatIsDamagedAndEndedEarly) {
  EndCore();
  Damage(FarFrame());
  CheckFellBack(Recovered());
}

TEST_F(RecoveredTest, OfWhichTheDiskDoesNotGiveAPart) {
  const std::uint64_t bad = std::max<std::uint64_t>(FarFrame(), Stored(kMinimalFile).size() + 4096);
  ASSERT_LT(bad + 4096, Stored(kCoreFile).size());
  const DiskFault fault({.bad_begin = bad, .bad_end = bad + 1});
  CheckFellBack(Recovered());
}

TEST_F(RecoveredTest, OfWhichTheDiskDoesNotGiveTheEnd) {
  const std::uint64_t size = Stored(kCoreFile).size();
  ASSERT_GT(size, Stored(kMinimalFile).size() + 8192);
  const DiskFault fault({.bad_begin = size - 1, .bad_end = size});
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated) << "it may be whole";
  EXPECT_EQ(record->capture.stored_bytes, size);
}

TEST_F(RecoveredTest, WithAllFramesAndNoTable) {
  PutAllFrames();
  {
    const DiskFault fault({.refuses_tables = true});
    const auto record = Recovered();
    ASSERT_THAT(record, Succeeds());
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    EXPECT_EQ(record->capture.reason, "the disk did not take its seek table");
    EXPECT_EQ(record->capture.core_bytes, core_.core_bytes());
  }
  PutAllFrames();
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->capture.reason, "");
}

TEST_F(RecoveredTest, WhateverHasTheNameOfAMinimalOne) {
  const auto remove = [&] { ASSERT_EQ(::unlinkat(Folder().get(), kMinimalFile, 0), 0); };
  for (const int kind : {S_IFIFO, S_IFLNK, S_IFDIR}) {
    SCOPED_TRACE(kind);
    Put(kBegunFile, begun_);
    if (kind == S_IFIFO) {
      remove();
      ASSERT_EQ(::mkfifoat(Folder().get(), kMinimalFile, 0600), 0);
    } else if (kind == S_IFLNK) {
      ASSERT_EQ(::symlinkat(kCoreFile, Folder().get(), kMinimalFile), 0);
    } else {
      ASSERT_EQ(::mkdirat(Folder().get(), kMinimalFile, 0700), 0);
    }
    const auto record = Recovered();
    ASSERT_THAT(record, Succeeds());
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    ASSERT_EQ(::unlinkat(Folder().get(), kRecordFile, 0), 0);
  }
}

/// Another worker may have put it in its place meanwhile, and have written the record as well.
TEST_F(RecoveredTest, ThatAnotherReplacesMeanwhile) {
  const auto replace = [&] {
    (void)::renameat(Folder().get(), kMinimalFile, Folder().get(), kCoreFile);
    return 0;
  };
  {
    const DiskFault fault({.before_write = replace});  // of the seek table
    EXPECT_THAT(Recovered(), testing::FailsWith(EAGAIN));
  }
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kMinimal);
}

TEST_F(RecoveredTest, ThatTheDiskDoesNotMove) {
  const DiskFault fault({.unmoved = kMinimalFile});
  EXPECT_THAT(Recovered(), testing::FailsWith(EAGAIN));
  EXPECT_TRUE(Has(kMinimalFile));
  EXPECT_TRUE(Has(kCoreFile));
}

TEST_F(RecoveredTest, ByTheClerk) {
  unsyncable = kMinimalFile;
  const Bytes part = Stored(kCoreFile), &minimal = minimal_core_;
  EXPECT_FALSE(TakeStoredMinimal(Folder(), /*same_boot=*/true).value());
  unsyncable.clear();
  EXPECT_EQ(Stored(kCoreFile), part) << "it may not survive a power cut";
  Put(kMinimalFile, minimal);
  EXPECT_FALSE(TakeStoredMinimal(Folder(), /*same_boot=*/false).value());
  EXPECT_EQ(Stored(kCoreFile), part) << "it may be torn";
  Put(kMinimalFile, minimal);
  {
    const DiskFault fault({.unmoved = kMinimalFile});
    EXPECT_THAT(TakeStoredMinimal(Folder(), /*same_boot=*/true), testing::FailsWith(EIO));
  }
  EXPECT_EQ(Stored(kCoreFile), part);
  EXPECT_TRUE(TakeStoredMinimal(Folder(), /*same_boot=*/true).value());
  EXPECT_EQ(Stored(kCoreFile), minimal);
  Put(kCoreFile, {});
  Put(kMinimalFile, minimal);
  EXPECT_TRUE(TakeStoredMinimal(Folder(), /*same_boot=*/false).value()) << "there is nothing else";
}

/// Between the rename and the record.
TEST_F(MinimalBesideTest, RecoversAMinimalCoreThatIsInItsPlace) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Kill(100, core, process);
  ASSERT_EQ(::renameat(Folder().get(), kMinimalFile, Folder().get(), kCoreFile), 0);
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kMinimal);
  EXPECT_EQ(record->capture.reason, "killed in a test");
}

}  // namespace
}  // namespace obit
