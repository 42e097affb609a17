#include "capture/answer.h"

#include <optional>

#include "base/clock.h"
#include "capture/capture.h"
#include "capture/minimal.h"
#include "capture/stored_head.h"
#include "capture/test_parked.h"
#include "elf/core_notes.h"
#include "store/prepared.h"
#include "store/store.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Parked;
using testing::Succeeds;

std::optional<std::uint64_t> TypesOfMinimalFor(std::uint64_t coredump_filter) {
  return TypesOfMinimal({.size = 32,
                         .size_ack = 24,
                         .mask = 0x7f,
                         .memory_types = coredump_filter,
                         .memory_types_mask = 0x1ff});
}

TEST(TypesOfMinimal, LeavesOutSharedMemory) {
  EXPECT_EQ(TypesOfMinimalFor(0x33), 0x31) << "the kernel's default";
  EXPECT_EQ(TypesOfMinimalFor(0x03), 0x01);
  EXPECT_EQ(TypesOfMinimalFor(0x7b), 0x31);
  EXPECT_EQ(TypesOfMinimalFor(0x1fb), 0xb1);
}

TEST(TypesOfMinimal, NeverAddsToWhatTheProcessSelected) {
  for (std::uint64_t filter = 0; filter < 0x200; ++filter) {
    const std::uint64_t types = TypesOfMinimalFor(filter).value_or(filter);
    // The headers are a part of private mappings of files.
    const bool has_headers = (filter & kCoredumpFilePrivate) != 0;
    EXPECT_EQ(types & ~(filter | (has_headers ? std::uint64_t{kCoredumpElfHeaders} : 0)), 0U) << filter;
  }
}

TEST(TypesOfMinimal, OfFilesTakesTheHeadersOnly) { EXPECT_EQ(TypesOfMinimalFor(0x05), 0x11); }

TEST(TypesOfMinimal, AsksForNothingWhereNothingIsLeftOut) {
  for (const std::uint64_t filter : {0x01, 0x11, 0x21, 0x31, 0xb1})
    EXPECT_EQ(TypesOfMinimalFor(filter), std::nullopt) << filter;
  EXPECT_EQ(TypesOfMinimal({.size = 16, .size_ack = 16, .mask = 0xf}), std::nullopt);
}

/// Then the data of programs comes with their files.
TEST(TypesOfMinimal, LeavesAProcessAloneThatKeepsNoPrivateMemory) {
  for (const std::uint64_t filter : {0x00, 0x02, 0x04, 0x16, 0x1fe})
    EXPECT_EQ(TypesOfMinimalFor(filter), std::nullopt) << filter;
}

/// Captures of a process that shares memory with others, against a kernel that dumps what it is asked for.
class ReducedTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kShared = 16 << 20;

  Result<CrashRecord> Run(Detail detail, const CoredumpOffer& offer, bool has_memory = false,
                          std::optional<std::uint64_t> virtual_bytes = std::nullopt,
                          bool has_little = false) {
    FakeKernel kernel([&](Fd& server) {
      agreed_ = *Negotiate(server, offer);
      const bool is_reduced = (agreed_.mask & kCoredumpMemoryTypes) != 0;
      const auto types = is_reduced ? agreed_.memory_types : 0x33;
      const CoreLayout core = Core((types & kCoredumpAnonShared) != 0, has_little);
      sent_ = core.core_bytes();
      if (agreed_.dumps()) testing::Sending(core, std::byte{'s'})(server);
    });
    PreparedCrash prepared = *PrepareCrash(incoming_);
    CaptureJob job;
    job.record.id = "0123456789abcdef";
    job.record.capture.detail = detail;
    job.record.process.virtual_bytes = virtual_bytes;
    job.dir = std::move(prepared.dir);
    job.core = *Duplicate(prepared.core);
    job.begun = std::move(prepared.begun);
    job.connection = kernel.TakeServer();
    std::vector<std::byte> request(offer.size);
    EXPECT_TRUE(WaitReadable(job.connection, MonotonicNow() + 5'000'000'000));
    EXPECT_EQ(*ReadFull(job.connection, request), request.size());
    job.offer = *DecodeCoredumpRequest(request);
    if (has_memory) job.memory = process_.Open();
    std::atomic<std::uint64_t> progress{0};
    auto record = Capture(std::move(job), progress, [](CaptureStep) {});
    core_ = std::move(prepared.core);
    return record;
  }
  /// It was made of what the kernel was asked for, and says of what it is a part.
  void ExpectMinimal(const Result<CrashRecord>& record, std::optional<std::uint64_t> full_bytes) {
    ASSERT_THAT(record, Succeeds());
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kMinimal) << record->capture.reason;
    EXPECT_EQ(record->capture.full_bytes, full_bytes);
    EXPECT_EQ(record->capture.promised_bytes, record->capture.core_bytes);
    CoreReader reader = *CoreReader::Open(std::move(core_));
    const auto head = ReadStoredHead(reader, HeadForMinimal());
    ASSERT_THAT(head, Succeeds());
    EXPECT_TRUE(ParseCoreNotes(head->notes(), head->elf_class(), head->machine()).mappings);
    const auto has = [&](std::uint64_t address) {
      return std::ranges::any_of(head->segments(), [&](const CoreHead::Segment& segment) {
        return segment.address <= address && address - segment.address < segment.bytes;
      });
    };
    EXPECT_TRUE(has(process_.sp()));
    EXPECT_FALSE(has(kSharedAt));
  }

  static constexpr std::uint64_t kSharedAt = 0x10000;
  const Parked process_;
  testing::TemporaryFolder folder_;
  Fd incoming_ = *Open(folder_ / "", O_RDONLY | O_DIRECTORY);
  CoredumpAgreement agreed_;
  std::uint64_t sent_ = 0;
  Fd core_;

 private:
  [[nodiscard]] CoreLayout Core(bool has_shared, bool has_little) const {
    const CoreLayout core = process_.Core();
    std::vector<CoreRun> runs(core.runs().begin(), core.runs().end());
    for (CoreRun& run : runs)
      if (has_little && (process_.sp() < run.address || process_.sp() - run.address >= run.bytes))
        run.file_bytes = 0;
    runs.insert(runs.begin(), {kSharedAt, kShared, has_shared ? kShared : 0, PF_R | PF_W});
    return {ElfClass::k64, EM_X86_64, process_.Notes(), std::move(runs)};
  }
};

constexpr std::uint64_t kLarge = 1 << 30, kSmall = 8 << 20;
constexpr std::uint64_t kKernelsCore = kCoredumpKernel | kCoredumpWait;

TEST_F(ReducedTest, AsksForLessWhereItCannotReadTheProcess) {
  for (const auto virtual_bytes : {std::optional(kLarge), std::optional<std::uint64_t>()}) {
    const auto record = Run(Detail::kMinimal, OfferOfLinux74(0x33), false, virtual_bytes);
    EXPECT_EQ(agreed_.mask, kKernelsCore | kCoredumpMemoryTypes);
    EXPECT_EQ(agreed_.memory_types, 0x31U);
    ExpectMinimal(record, std::nullopt);
    EXPECT_EQ(record->capture.method, CaptureMethod::kStream);
  }
}

/// What has come of it is not whole, for shared memory is not there.
TEST_F(ReducedTest, IsMinimalEvenIfItIsSmall) {
  const auto record = Run(Detail::kMinimal, OfferOfLinux74(0x33), false, kLarge, true);
  EXPECT_LT(sent_, kWholeCoreMax);
  ExpectMinimal(record, std::nullopt);
}

/// The kernel sends no more than the head, and that has the size of a full core.
TEST_F(ReducedTest, AsksForNoLessWhereItReadsTheProcess) {
  const auto record = Run(Detail::kMinimal, OfferOfLinux74(0x33), true, kLarge);
  EXPECT_EQ(agreed_.mask, kKernelsCore);
  ExpectMinimal(record, sent_);
  EXPECT_EQ(record->capture.method, CaptureMethod::kDirect);
}

TEST_F(ReducedTest, AsksForNoLessOfASmallProcess) {
  const auto record = Run(Detail::kMinimal, OfferOfLinux74(0x33), false, kSmall);
  EXPECT_EQ(agreed_.mask, kKernelsCore);
  ExpectMinimal(record, sent_);
}

TEST_F(ReducedTest, AsksForNoLessWhereAllIsWanted) {
  const auto record = Run(Detail::kFull, OfferOfLinux74(0x33), false, kLarge);
  EXPECT_EQ(agreed_.mask, kKernelsCore);
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
}

TEST_F(ReducedTest, AsksForNoLessWhereTheKernelDoesNotOfferIt) {
  CoredumpOffer offer = OfferOfLinux74(0x33);
  for (const bool is_new : {true, false}) {
    if (is_new)
      offer.mask &= ~std::uint64_t{kCoredumpMemoryTypes};
    else
      offer = {};
    const auto record = Run(Detail::kMinimal, offer, false, kLarge);
    EXPECT_EQ(agreed_.mask, kKernelsCore);
    ExpectMinimal(record, sent_);
  }
}

}  // namespace
}  // namespace obit
