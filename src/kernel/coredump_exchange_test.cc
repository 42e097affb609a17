#include "kernel/coredump_exchange.h"

#include <thread>

#include <sys/socket.h>

#include "base/test_support.h"
#include "base/unix_socket.h"
#include "dump/coredump_client.h"

namespace obit {
namespace {

using Step = CoredumpExchange::Step;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Succeeds;

MATCHER_P(Gives, step, "gives step " + ::testing::PrintToString(static_cast<int>(step))) {
  if (!arg) *result_listener << arg.error().what;
  return arg && *arg == step;
}

/// Both ends of a connection; the test is the kernel.
struct Connected {
  SocketPair pair = *MakeSocketPair(SOCK_STREAM);
  CoredumpExchange exchange{pair.first};

  void Kernel(std::span<const std::byte> bytes) const {
    EXPECT_THAT(WriteAll(pair.second, bytes), Succeeds());
  }
  void Kernel(std::uint32_t mark) const { Kernel(std::as_bytes(std::span(&mark, 1))); }
  /// What the server has not taken.
  [[nodiscard]] std::size_t Unread() const {
    std::array<std::byte, 8192> room{};
    const ssize_t n = ::recv(pair.first.get(), room.data(), room.size(), MSG_DONTWAIT);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
};

std::vector<std::byte> CoreBytes() {
  std::vector<std::byte> core(100, std::byte{1});
  std::memcpy(core.data(),
              "\x7f"
              "ELF",
              4);
  return core;
}

TEST(CoredumpExchange, AgreesWithTheKernel) {
  for (const auto& [wish, mask] : {std::pair{CoredumpWish::kCore, kCoredumpKernel | kCoredumpWait},
                                   {CoredumpWish::kEvent, kCoredumpUserspace | kCoredumpWait},
                                   {CoredumpWish::kReject, +kCoredumpReject}}) {
    Connected connected;
    CoredumpAgreement agreed;
    std::jthread kernel([&] { agreed = *Negotiate(connected.pair.second, {}); });
    const auto next = [&] {
      for (;;) {
        const auto step = connected.exchange.Receive();
        if (!step || *step != Step::kMore) return step;
        std::byte first{};  // waits
        EXPECT_EQ(::recv(connected.pair.first.get(), &first, 1, MSG_PEEK), 1);
      }
    };
    ASSERT_THAT(next(), Gives(Step::kRequest));
    EXPECT_EQ(connected.exchange.request().mask, 0xfu);
    ASSERT_THAT(connected.exchange.Send(wish), Succeeds());
    ASSERT_THAT(next(), Gives(Step::kMark));
    kernel.join();
    EXPECT_EQ(agreed.mask, mask);
    EXPECT_EQ(connected.exchange.mark(), CoredumpMark::kAccepted);
    EXPECT_THAT(connected.exchange.Verdict(), Succeeds());
  }
}

TEST(CoredumpExchange, AgreesOnMemoryTypes) {
  Connected connected;
  CoredumpAgreement agreed;
  std::jthread kernel([&] { agreed = *Negotiate(connected.pair.second, OfferOfLinux74(0x37)); });
  std::byte first{};
  ASSERT_EQ(::recv(connected.pair.first.get(), &first, 1, MSG_PEEK), 1);  // it comes in one piece
  ASSERT_THAT(connected.exchange.Receive(), Gives(Step::kRequest));
  EXPECT_EQ(connected.exchange.request().memory_types, 0x37u);
  const auto asked = connected.exchange.Send(CoredumpWish::kCore, 0x31);
  ASSERT_THAT(asked, Succeeds());
  kernel.join();
  EXPECT_EQ(agreed.mark, CoredumpMark::kAccepted);
  EXPECT_EQ(agreed.mask, kCoredumpKernel | kCoredumpWait | kCoredumpMemoryTypes);
  EXPECT_EQ(agreed.memory_types, 0x31u);
  EXPECT_EQ(asked->mask, agreed.mask);
  EXPECT_EQ(asked->memory_types, agreed.memory_types);
}

TEST(CoredumpExchange, TakesBytesAsTheyCome) {
  Connected connected;
  CoredumpExchange& exchange = connected.exchange;
  EXPECT_THAT(exchange.Receive(), Gives(Step::kMore));
  const auto request = EncodeCoredumpRequest({.size = 32, .size_ack = 24, .mask = 0x7f});
  for (std::size_t i = 0; i < request.size(); ++i) {
    connected.Kernel(std::span(request).subspan(i, 1));
    EXPECT_THAT(exchange.Receive(), Gives(i + 1 < request.size() ? Step::kMore : Step::kRequest)) << i;
  }
  EXPECT_EQ(exchange.request().mask, 0x7fu);
  ASSERT_THAT(exchange.Send(CoredumpWish::kCore), Succeeds());
  const std::array<std::byte, 4> mark{};
  for (std::size_t i = 0; i < mark.size(); ++i) {
    EXPECT_THAT(exchange.Receive(), Gives(Step::kMore));
    connected.Kernel(std::span(mark).subspan(i, 1));
  }
  EXPECT_THAT(exchange.Receive(), Gives(Step::kMark));
}

TEST(CoredumpExchange, ReadsNothingBehindTheMark) {
  Connected connected;
  connected.Kernel(EncodeCoredumpRequest({}));
  ASSERT_THAT(connected.exchange.Receive(), Gives(Step::kRequest));
  ASSERT_THAT(connected.exchange.Send(CoredumpWish::kCore), Succeeds());
  connected.Kernel(0u);
  const auto core = CoreBytes();
  connected.Kernel(core);
  EXPECT_THAT(connected.exchange.Receive(), Gives(Step::kMark));
  EXPECT_THAT(connected.exchange.Receive(), Gives(Step::kMark)) << "it says the same again";
  EXPECT_EQ(connected.Unread(), core.size());
}

TEST(CoredumpExchange, ReadsNothingBeforeTheAnswer) {
  Connected connected;
  connected.Kernel(EncodeCoredumpRequest({}));
  ASSERT_THAT(connected.exchange.Receive(), Gives(Step::kRequest));
  connected.Kernel(0u);  // no kernel would
  EXPECT_THAT(connected.exchange.Receive(), Gives(Step::kRequest));
  EXPECT_EQ(connected.Unread(), 4u);
}

TEST(CoredumpExchange, LeavesACoreAsItIs) {
  Connected connected;
  const auto core = CoreBytes();
  connected.Kernel(core);
  EXPECT_THAT(connected.exchange.Receive(), Gives(Step::kCore));
  EXPECT_THAT(connected.exchange.Receive(), Gives(Step::kCore));
  EXPECT_EQ(connected.Unread(), core.size());
}

TEST(CoredumpExchange, GoesOnFromAnOfferThatWasRead) {
  Connected connected;
  CoredumpExchange exchange(connected.pair.first, CoredumpRequest{16, 16, kCoredumpKernel});
  EXPECT_THAT(exchange.Receive(), Gives(Step::kRequest));
  ASSERT_THAT(exchange.Send(CoredumpWish::kCore), Succeeds());
  CoredumpAck ack{};
  EXPECT_EQ(
      *ReadFull(connected.pair.second, std::as_writable_bytes(std::span(&ack, 1)).first(kCoredumpAckMin)),
      kCoredumpAckMin);
  EXPECT_EQ(ack.mask, kCoredumpKernel);
  connected.Kernel(0u);
  EXPECT_THAT(exchange.Receive(), Gives(Step::kMark));
}

TEST(CoredumpExchange, TellsWhyTheKernelRefused) {
  Connected connected;
  connected.Kernel(EncodeCoredumpRequest({}));
  ASSERT_THAT(connected.exchange.Receive(), Gives(Step::kRequest));
  ASSERT_THAT(connected.exchange.Send(CoredumpWish::kEvent), Succeeds());
  connected.Kernel(3u);
  ASSERT_THAT(connected.exchange.Receive(), Gives(Step::kMark));
  EXPECT_EQ(connected.exchange.mark(), CoredumpMark::kUnsupported);
  const auto verdict = connected.exchange.Verdict();
  ASSERT_THAT(verdict, FailsWith(EPROTO));
  EXPECT_THAT(verdict.error().what, HasSubstr("the kernel refused the answer: "));
}

TEST(CoredumpExchange, EndsWithTheConnection) {
  const auto request = EncodeCoredumpRequest({});
  for (std::size_t sent = 0; sent < request.size(); ++sent) {
    Connected connected;
    connected.Kernel(std::span(request).first(sent));
    connected.pair.second.Reset();
    EXPECT_THAT(connected.exchange.Receive(), FailsWith(EPIPE)) << sent;
  }
  Connected connected;
  connected.Kernel(request);
  connected.pair.second.Reset();
  ASSERT_THAT(connected.exchange.Receive(), Gives(Step::kRequest));
  EXPECT_THAT(connected.exchange.Send(CoredumpWish::kCore), FailsWith(EPIPE)) << "and no SIGPIPE";
}

TEST(CoredumpExchange, RefusesOtherBytes) {
  Connected connected;
  connected.Kernel(testing::BytesOf("GET / HTTP/1.1\r\n"));
  EXPECT_THAT(connected.exchange.Receive(), FailsWith(EBADMSG));
  EXPECT_THAT(connected.exchange.Receive(), FailsWith(EBADMSG));
  Connected pieces;
  const auto core = CoreBytes();
  for (const std::byte part : std::span(core).first(3)) {
    pieces.Kernel(std::span(&part, 1));
    EXPECT_THAT(pieces.exchange.Receive(), Gives(Step::kMore));
  }
  pieces.Kernel(testing::BytesOf("F"));
  EXPECT_THAT(pieces.exchange.Receive(), FailsWith(EBADMSG)) << "no kernel sends a core so";
}

TEST(CoredumpExchange, SendsNothingWhereNothingWouldDo) {
  Connected connected;
  connected.Kernel(EncodeCoredumpRequest({.mask = kCoredumpReject}));
  ASSERT_THAT(connected.exchange.Receive(), Gives(Step::kRequest));
  EXPECT_THAT(connected.exchange.Send(CoredumpWish::kCore), FailsWith(ENOTSUP));
}

bool HasNone(const Connected& connected) {
  const auto peeked = PeekRequest(connected.pair.first);
  EXPECT_THAT(peeked, Succeeds());
  return peeked && !*peeked;
}

TEST(PeekRequest, TakesNothing) {
  const Connected connected;
  const CoredumpRequest request{16, 16, 15};
  const auto bytes = std::as_bytes(std::span(&request, 1)).first(kCoredumpRequestMin);
  EXPECT_TRUE(HasNone(connected));
  connected.Kernel(bytes.first(8));
  EXPECT_TRUE(HasNone(connected)) << "a part";
  connected.Kernel(bytes.subspan(8));
  const auto peeked = PeekRequest(connected.pair.first);
  ASSERT_TRUE(peeked && *peeked);
  EXPECT_EQ((*peeked)->mask, 15U);
  EXPECT_EQ(connected.Unread(), 16U);
}

TEST(PeekRequest, ACoreHasNone) {
  const Connected connected;
  connected.Kernel(CoreBytes());
  EXPECT_TRUE(HasNone(connected));
  EXPECT_EQ(connected.Unread(), CoreBytes().size());
}

TEST(PeekRequest, FailsAsReceiveDoes) {
  const Connected strange;
  strange.Kernel(std::vector<std::byte>(64, std::byte{0xff}));
  EXPECT_THAT(PeekRequest(strange.pair.first), FailsWith(EBADMSG));
  Connected gone;
  gone.pair.second.Reset();
  EXPECT_THAT(PeekRequest(gone.pair.first), FailsWith(EPIPE));
}

}  // namespace
}  // namespace obit
