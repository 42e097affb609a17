#include "capture/trace.h"

#include <atomic>

#include <fcntl.h>

#include "base/clock.h"
#include "capture/minimal_plan.h"
#include "capture/test_parked.h"
#include "store/core_reader.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::Bytes;
using testing::FailsWith;
using testing::kLeftOut;
using testing::Parked;
using testing::Sending;
using testing::Succeeds;

class TraceTest : public ::testing::Test {
 protected:
  /// A trace, where the kernel sends this and then waits, without a word ("@"); or with an offer.
  Result<Fd> Run(const std::function<void(Fd&)>& kernel, std::optional<ProcessMemory> memory,
                 bool has_offer = false, std::chrono::nanoseconds time = 60s) {
    FakeKernel crash([&](Fd& server) {
      if (has_offer) {
        const auto agreed = Negotiate(server, {});
        if (agreed) mask_ = agreed->mask;
        if (!agreed || (agreed->mask & kCoredumpKernel) == 0) return AwaitRelease(server);
      }
      kernel(server);
    });
    TraceJob job{
        .connection = crash.TakeServer(), .memory = std::move(memory), .no_memory = "no right", .time = time};
    if (has_offer) {
      ::fcntl(job.connection.get(), F_SETFL, 0);
      std::array<std::byte, kCoredumpRequestMin> request{};
      EXPECT_EQ(*ReadFull(job.connection, request), request.size());
      job.offer = *DecodeCoredumpRequest(request);
      ::fcntl(job.connection.get(), F_SETFL, O_NONBLOCK);
    }
    std::atomic<std::uint64_t> progress{0};
    auto core = CaptureTrace(std::move(job), progress, [this] { ++released_; });
    EXPECT_EQ(std::exchange(released_, 0), 1);
    return core;
  }

  std::atomic<std::uint64_t> mask_ = 0;
  int released_ = 0;
};

TEST_F(TraceTest, IsAMinimalCoreInMemoryWithoutAName) {
  Parked process;
  const CoreLayout sent = process.Core();
  auto core = Run(Sending(sent, std::byte{'s'}), process.TakeMemory(), true);
  ASSERT_THAT(core, Succeeds());
  EXPECT_EQ(mask_, kCoredumpKernel | kCoredumpWait);
  EXPECT_GE(::fcntl(core->get(), F_GET_SEALS), 0) << "it is no file of a disk";
  CoreReader reader = *CoreReader::Open(std::move(*core));
  EXPECT_LE(reader.size(), TraceJob().core_max);
  Bytes bytes(reader.size());
  ASSERT_THAT(reader.ReadAt(0, bytes), Succeeds());
  CoreHead head = HeadForMinimal();
  head.Feed(bytes);
  ASSERT_TRUE(head.complete());
  EXPECT_EQ(head.core_bytes(), bytes.size()) << "whole";
  const auto has = [&](std::uint64_t address) {
    return std::ranges::any_of(head.segments(), [&](const CoreHead::Segment& segment) {
      return segment.address <= address && address < segment.address + segment.bytes;
    });
  };
  EXPECT_TRUE(has(process.sp()));
  EXPECT_FALSE(has(process.heap() + kLeftOut));
}

TEST_F(TraceTest, WithoutMemoryTheKernelIsToldThatItIsAnEvent) {
  const Parked process;
  const CoreLayout sent = process.Core();
  EXPECT_THAT(Run(Sending(sent, std::byte{'s'}), std::nullopt, true), FailsWith(ENODATA));
  EXPECT_EQ(mask_, kCoredumpUserspace | kCoredumpWait);
  EXPECT_THAT(Run(Sending(sent, std::byte{'s'}), std::nullopt), FailsWith(ENODATA));
}

TEST_F(TraceTest, AHugeProcessHasNone) {
  Parked process(testing::kHeap, TraceJob::kMemoryMax);
  const CoreLayout sent = process.Core();
  EXPECT_THAT(Run(Sending(sent, std::byte{'s'}), process.TakeMemory(), true), FailsWith(EFBIG));
  EXPECT_EQ(mask_, kCoredumpUserspace | kCoredumpWait);
}

TEST_F(TraceTest, AKernelThatSaysNothingIsNotWaitedFor) {
  Parked process;
  const std::int64_t begun = MonotonicNow();
  EXPECT_THAT(Run([](Fd& server) { AwaitRelease(server); }, process.TakeMemory(), false, 20ms),
              FailsWith(ETIMEDOUT));
  EXPECT_GE(MonotonicNow() - begun, std::chrono::nanoseconds(20ms).count());
}

TEST_F(TraceTest, OfAProcessThatIsGoneThereIsNone) {
  Parked process;
  const CoreLayout sent = process.Core();
  ProcessMemory memory = process.TakeMemory();
  process.End();
  EXPECT_FALSE(Run(Sending(sent, std::byte{'s'}), std::move(memory)));
}

}  // namespace
}  // namespace obit
