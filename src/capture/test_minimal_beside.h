#pragma once

// For tests: a capture whose full core may end early, and the folder that it leaves. Included by them only.

#include <atomic>
#include <functional>

#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "capture/capture.h"
#include "capture/minimal_beside.h"
#include "capture/minimal_plan.h"
#include "capture/stored_head.h"
#include "capture/test_parked.h"
#include "crash/record_json.h"
#include "elf/core_notes.h"
#include "store/prepared.h"
#include "store/store.h"
#include "store/test_disk.h"

namespace obit::testing {

inline constexpr const char* kId = "0123456789abcdef";
inline constexpr std::size_t kLarge = kMinimalBesideMin + (1 << 20);

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
    if (prepare_) prepare_(job);
    steps_.clear();
    std::atomic<std::uint64_t> progress = 0;
    auto record = Capture(std::move(job), progress, [&](CaptureStep step) {
      steps_.push_back(step);
      if (at_step_) at_step_(step);
      if (step == CaptureStep::kCopied) return;
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
    Child(worker).Wait();
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

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  Fd incoming_ = *Open(folder_ / "store/incoming", O_RDONLY | O_DIRECTORY);
  std::atomic<int> writes_ = 0;
  int connection_ = -1, minimal_ = -1;        // of the capture that runs
  std::function<void(CaptureJob&)> prepare_;  // before it begins
  std::function<void(CaptureStep)> at_step_;
  std::vector<CaptureStep> steps_;  // that it reached
};

}  // namespace obit::testing
