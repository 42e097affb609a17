#include "dump/coredump_client.h"

#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

/// What the kernel's side makes of an answer, sent in one piece of `bytes` bytes, then the end of sending.
CoredumpAgreement Judged(CoredumpAck ack, std::size_t bytes = kCoredumpAckMin,
                         const CoredumpOffer& offer = {}) {
  SocketPair pair = *MakeSocketPair(SOCK_STREAM);
  std::vector<std::byte> wire(std::max(bytes, sizeof ack));
  std::memcpy(wire.data(), &ack, sizeof ack);
  EXPECT_TRUE(WriteAll(pair.first, std::span(wire).first(bytes)));
  ::shutdown(pair.first.get(), SHUT_WR);
  const auto agreement = Negotiate(pair.second, offer);
  EXPECT_TRUE(agreement);
  return *agreement;
}
CoredumpAgreement JudgedBy74(CoredumpAck ack) { return Judged(ack, ack.size, OfferOfLinux74(0x33)); }

constexpr std::uint32_t kSize = kCoredumpAckMin, kSizeOfTypes = sizeof(CoredumpAck);

TEST(Negotiate, AcceptsEachSingleChoice) {
  for (const std::uint64_t mask : {1, 2, 4, 9, 10, 12}) {
    const auto agreement = Judged({kSize, 0, mask});
    EXPECT_EQ(agreement.mark, CoredumpMark::kAccepted) << mask;
    EXPECT_EQ(agreement.mask, mask);
  }
}

TEST(Negotiate, FollowsTheKernelsOrderOfChecks) {
  EXPECT_EQ(Judged({8, 0, 1}).mark, CoredumpMark::kMinSize);
  EXPECT_EQ(Judged({kSize + 4096, 0, 1}, kSize + 4096).mark, CoredumpMark::kMaxSize);
  EXPECT_EQ(Judged({kSize, 0, 1ULL << 63 | 5}).mark, CoredumpMark::kUnsupported);
  EXPECT_EQ(Judged({kSize, 1, 5}).mark, CoredumpMark::kConflicting);
  EXPECT_EQ(Judged({kSize, 0, kCoredumpWait}).mark, CoredumpMark::kConflicting);
  EXPECT_EQ(Judged({kSize, 1, kCoredumpKernel}).mark, CoredumpMark::kUnsupported);
}

TEST(Negotiate, TakesMemoryTypes) {
  for (const std::uint64_t types : {0, 0x31, 0x1ff}) {
    const auto agreement = JudgedBy74({kSizeOfTypes, 0, kCoredumpKernel | kCoredumpMemoryTypes, types});
    EXPECT_EQ(agreement.mark, CoredumpMark::kAccepted);
    EXPECT_EQ(agreement.memory_types, types);
  }
}

TEST(Negotiate, TakesAnAnswerThatEndsWithinAField) {
  const auto agreement = JudgedBy74({20, 0, kCoredumpKernel});
  EXPECT_EQ(agreement.mark, CoredumpMark::kAccepted);
  EXPECT_EQ(agreement.mask, kCoredumpKernel);
}

TEST(Negotiate, RefusesWhatGoesWithAKernelsCoreWithoutOne) {
  for (const std::uint64_t mode : {kCoredumpUserspace, kCoredumpReject})
    for (const std::uint64_t bit : {kCoredumpRecords, kCoredumpMemoryTypes})
      EXPECT_EQ(JudgedBy74({kSizeOfTypes, 0, mode | bit}).mark, CoredumpMark::kConflicting) << (mode | bit);
  EXPECT_EQ(JudgedBy74({kSize, 0, kCoredumpKernel | kCoredumpSparse}).mark, CoredumpMark::kConflicting);
  EXPECT_EQ(JudgedBy74({kSize, 0, kCoredumpKernel | kCoredumpSparse | kCoredumpRecords}).mark,
            CoredumpMark::kAccepted);
}

TEST(Negotiate, RefusesMemoryTypesThatItDoesNotKnow) {
  constexpr std::uint64_t kMask = kCoredumpKernel | kCoredumpMemoryTypes;
  EXPECT_EQ(JudgedBy74({kSizeOfTypes, 0, kMask, 1ULL << 63}).mark, CoredumpMark::kUnsupported);
  EXPECT_EQ(JudgedBy74({kSizeOfTypes, 0, kMask, 0x200}).mark, CoredumpMark::kUnsupported);
}

TEST(Negotiate, RefusesMemoryTypesThatNobodyAsksFor) {
  EXPECT_EQ(JudgedBy74({kSizeOfTypes, 0, kCoredumpKernel, 1}).mark, CoredumpMark::kUnsupported);
  EXPECT_EQ(JudgedBy74({kSizeOfTypes, 0, kCoredumpKernel, 0}).mark, CoredumpMark::kAccepted);
}

TEST(Negotiate, RefusesMemoryTypesInAShortAnswer) {
  for (const std::uint32_t size : {16u, 20u, 23u})
    EXPECT_EQ(JudgedBy74({size, 0, kCoredumpKernel | kCoredumpMemoryTypes}).mark, CoredumpMark::kMinSize)
        << size;
}

TEST(Negotiate, KnowsOfNoMemoryTypesBefore74) {
  EXPECT_EQ(Judged({kSize, 0, kCoredumpKernel | kCoredumpMemoryTypes}).mark, CoredumpMark::kUnsupported);
  EXPECT_EQ(Judged({kSizeOfTypes, 0, kCoredumpKernel}, kSizeOfTypes).mark, CoredumpMark::kMaxSize);
}

TEST(Negotiate, SendsNoMarkForACutAnswer) {
  for (std::size_t n = 0; n < kSize; ++n) EXPECT_EQ(Judged({kSize, 0, 1}, n).mark, std::nullopt) << n;
}

TEST(Negotiate, RejectNeverWaits) {
  EXPECT_FALSE(Judged({kSize, 0, kCoredumpReject | kCoredumpWait}).waits());
  EXPECT_TRUE(Judged({kSize, 0, kCoredumpUserspace | kCoredumpWait}).waits());
  EXPECT_TRUE(Judged({kSize, 0, kCoredumpKernel}).dumps());
  EXPECT_FALSE(Judged({kSize, 0, kCoredumpUserspace}).dumps());
}

TEST(Negotiate, AServerThatRejectsNeedNotWaitForTheMark) {
  for (const std::uint64_t mask : {kCoredumpReject, kCoredumpKernel}) {
    SocketPair pair = *MakeSocketPair(SOCK_STREAM);
    std::jthread server([&pair, mask] {
      std::array<std::byte, kCoredumpRequestMin> request{};
      const Fd end = std::move(pair.first);
      ASSERT_TRUE(ReadFull(end, request));
      const CoredumpAck ack{kSize, 0, mask};
      // Nothing reaches it from here on, not even before it has closed.
      ASSERT_EQ(::shutdown(end.get(), SHUT_RD), 0);
      ASSERT_TRUE(WriteAll(end, std::as_bytes(std::span(&ack, 1)).first(kSize)));
    });
    const auto agreement = Negotiate(pair.second, {});
    ASSERT_TRUE(agreement);
    EXPECT_EQ(agreement->rejected(), mask == kCoredumpReject);
    EXPECT_EQ(agreement->mark.has_value(), mask == kCoredumpReject);
  }
}

TEST(EncodeCoredumpRequest, HasMemoryTypesWhereThereIsRoom) {
  const auto request = DecodeCoredumpRequest(EncodeCoredumpRequest(OfferOfLinux74(0x33)));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->size, 32u);
  EXPECT_EQ(request->size_ack, 24u);
  EXPECT_EQ(request->memory_types, 0x33u);
  EXPECT_EQ(request->memory_types_mask, 0x1ffu);
  CoredumpOffer offer = OfferOfLinux74(0x33);
  offer.size = 20;
  EXPECT_EQ(EncodeCoredumpRequest(offer).size(), 20u);
}

TEST(EncodeCoredumpRequest, PadsALongerRequestWithZeros) {
  const auto wire = EncodeCoredumpRequest({.size = 32, .size_ack = 24, .mask = 0x7f});
  ASSERT_EQ(wire.size(), 32u);
  EXPECT_EQ(wire[16], std::byte{0});
  EXPECT_EQ(DecodeCoredumpRequest(wire)->mask, 0x7fu);
}

}  // namespace
}  // namespace obit
