#include <optional>

#include "base/io.h"
#include "capture/minimal.h"
#include "capture/test_parked.h"
#include "store/core_reader.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::FailsWith;
using testing::kExcluded;
using testing::kLeftOut;
using testing::kMarked;
using testing::MemoryFile;
using testing::Parked;
using testing::Sending;
using testing::Succeeds;

/// One capture, and what it stored.
class MinimalCaptureTest : public ::testing::Test {
 protected:
  Result<void> Run(const std::function<void(Fd&)>& kernel, const ProcessMemory* memory,
                   std::uint64_t core_max = UINT64_MAX) {
    FakeKernel crash(kernel);
    Fd connection = crash.TakeServer();
    std::atomic<std::uint64_t> progress{0};
    capture_ = {};
    file_ = MemoryFile();
    CoreWriter writer(file_, {});
    const CaptureDeadlines deadlines;
    CoreStream stream(connection, deadlines, progress);
    CoreHead head = HeadForMinimal();
    auto captured = CaptureMinimal(head, stream, writer, memory, core_max, progress, capture_);
    EXPECT_THAT(writer.Finish(), Succeeds());
    connection.Reset();
    if (captured) {
      stored_.emplace(*CoreReader::Open(*Duplicate(file_)));
      made_ = HeadForMinimal();
      Bytes bytes(std::min<std::uint64_t>(stored_->size(), 4 << 20));
      EXPECT_EQ(*stored_->ReadAt(0, bytes), bytes.size());
      made_.Feed(bytes);
      EXPECT_TRUE(made_.complete());
      EXPECT_EQ(made_.core_bytes(), stored_->size());
      EXPECT_EQ(capture_.promised_bytes, stored_->size());
    }
    return captured;
  }

  /// What the stored core has at an address: nothing if that was left out.
  std::optional<std::byte> At(std::uint64_t address) {
    for (const CoreHead::Segment& segment : made_.segments()) {
      std::byte byte{};
      if (address < segment.address || address - segment.address >= segment.bytes) continue;
      EXPECT_EQ(*stored_->ReadAt(segment.offset + (address - segment.address), std::span(&byte, 1)), 1U);
      return byte;
    }
    return std::nullopt;
  }

  CrashRecord::Capture capture_;
  Fd file_;
  std::optional<CoreReader> stored_;
  CoreHead made_;
};

TEST_F(MinimalCaptureTest, ReadsWhatItNeedsFromTheProcess) {
  const Parked process;
  const CoreLayout core = process.Core();
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory()), Succeeds());
  EXPECT_EQ(capture_.method, CaptureMethod::kDirect);
  EXPECT_EQ(capture_.full_bytes, core.core_bytes());
  EXPECT_LT(stored_->size(), 8U << 20) << "with a sanitizer a program has more data";
  EXPECT_EQ(At(process.heap() + kMarked), std::byte{'m'});
  EXPECT_EQ(At(process.heap() + kLeftOut), std::nullopt);
  EXPECT_NE(At(process.sp()), std::nullopt);
  EXPECT_EQ(At(process.heap() + kExcluded), std::nullopt) << "MADV_DONTDUMP";
  const CoreNotes notes = ParseCoreNotes(made_.notes(), made_.elf_class(), made_.machine());
  ASSERT_TRUE(notes.mappings);
  EXPECT_EQ(notes.mappings->size(), core.runs().size());
  EXPECT_EQ(notes.threads.size(), 1U);
}

TEST_F(MinimalCaptureTest, TakesWhatTheHeadPromisesFromTheStream) {
  const Parked process;
  for (const bool sorted : {true, false}) {  // kernel.core_sort_vma
    const CoreLayout core = process.Core(sorted);
    ASSERT_THAT(Run(Sending(core, std::byte{'s'}), nullptr), Succeeds());
    EXPECT_EQ(capture_.method, CaptureMethod::kStream);
    EXPECT_EQ(capture_.full_bytes, core.core_bytes());
    EXPECT_EQ(At(process.sp()), std::byte{'s'});
    EXPECT_EQ(At(process.heap() + kLeftOut), std::nullopt);
  }
}

TEST_F(MinimalCaptureTest, KeepsASmallCoreWhole) {
  const Bytes core = SmallCore(600'000);
  ASSERT_THAT(Run([&](Fd& server) { (void)SendCore(server, core); }, nullptr), Succeeds());
  EXPECT_EQ(capture_.full_bytes, std::nullopt);
  Bytes stored(core.size());
  EXPECT_EQ(*stored_->ReadAt(0, stored), core.size());
  EXPECT_EQ(stored, core);
}

TEST_F(MinimalCaptureTest, TakesFromTheStreamWhatTheKernelMayHaveSent) {
  const Parked process;
  const CoreLayout core = process.Core(true, true);
  ASSERT_GT(core.core_bytes(), kWholeCoreMax);
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory()), Succeeds());
  EXPECT_EQ(capture_.method, CaptureMethod::kStream);
  EXPECT_EQ(At(process.sp()), std::byte{'s'});
}

TEST_F(MinimalCaptureTest, FitsIntoTheCoreLimit) {
  const Parked process;
  const CoreLayout core = process.Core();
  const std::uint64_t limit = 128 << 10;
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory(), limit), Succeeds());
  EXPECT_LE(stored_->size(), limit);
  EXPECT_NE(At(process.sp()), std::nullopt);
  EXPECT_THAT(Run(Sending(core, std::byte{'s'}), &process.memory(), 4096), FailsWith(EFBIG));
  EXPECT_EQ(capture_.full_bytes, std::nullopt);
}

TEST_F(MinimalCaptureTest, FailsIfTheProcessIsGone) {
  Parked process;
  const CoreLayout core = process.Core();
  ProcessMemory memory = process.TakeMemory();
  Bytes maps(1 << 20);  // as they were read a moment before
  maps.resize(*ReadFullAt(memory.maps, maps, 0));
  memory.maps = MemoryFile(maps);
  process.End();
  EXPECT_THAT(Run(Sending(core, std::byte{'s'}), &memory), FailsWith(ESRCH));
}

TEST_F(MinimalCaptureTest, SaysWhereTheStreamEndsWithinTheHead) {
  const Parked process;
  const Bytes head = process.Core().Head();
  for (const std::size_t n : {std::size_t{0}, std::size_t{30}, std::size_t{200}, head.size() / 2}) {
    const auto cut = [&](Fd& server) { (void)SendCore(server, std::span(head).first(n)); };
    EXPECT_FALSE(Run(cut, &process.memory())) << n;
  }
}

}  // namespace
}  // namespace obit
