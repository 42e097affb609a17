#include "dump/coredump_client.h"

#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

/// What the kernel's side makes of an answer, sent in one piece of `bytes` bytes, then the end of sending.
CoredumpAgreement Judged(CoredumpAck ack, std::size_t bytes = sizeof(CoredumpAck)) {
  SocketPair pair = *MakeSocketPair(SOCK_STREAM);
  std::vector<std::byte> wire(std::max(bytes, sizeof ack));
  std::memcpy(wire.data(), &ack, sizeof ack);
  EXPECT_TRUE(WriteAll(pair.first, std::span(wire).first(bytes)));
  ::shutdown(pair.first.get(), SHUT_WR);
  const auto agreement = Negotiate(pair.second, {});
  EXPECT_TRUE(agreement);
  return *agreement;
}

constexpr std::uint32_t kSize = sizeof(CoredumpAck);

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
      CoredumpRequest request;
      const Fd end = std::move(pair.first);
      ASSERT_TRUE(ReadFull(end, std::as_writable_bytes(std::span(&request, 1))));
      const CoredumpAck ack{kSize, 0, mask};
      // Nothing reaches it from here on, not even before it has closed.
      ASSERT_EQ(::shutdown(end.get(), SHUT_RD), 0);
      ASSERT_TRUE(WriteAll(end, std::as_bytes(std::span(&ack, 1))));
    });
    const auto agreement = Negotiate(pair.second, {});
    ASSERT_TRUE(agreement);
    EXPECT_EQ(agreement->rejected(), mask == kCoredumpReject);
    EXPECT_EQ(agreement->mark.has_value(), mask == kCoredumpReject);
  }
}

TEST(EncodeCoredumpRequest, PadsALongerRequestWithZeros) {
  const auto wire = EncodeCoredumpRequest({.size = 32, .size_ack = 24, .mask = 0x7f});
  ASSERT_EQ(wire.size(), 32u);
  EXPECT_EQ(wire[16], std::byte{0});
  EXPECT_EQ(DecodeCoredumpRequest(wire)->mask, 0x7fu);
}

}  // namespace
}  // namespace obit
