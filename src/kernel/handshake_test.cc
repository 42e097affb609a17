#include "kernel/handshake.h"

#include <gtest/gtest.h>

#include "dump/coredump_client.h"

namespace obit {
namespace {

using State = Handshake::State;

/// Gives all of `bytes`, as far as they are wanted; the number taken.
std::size_t Give(Handshake& handshake, std::span<const std::byte> bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && handshake.wanted() > 0) {
    const std::size_t n = std::min(handshake.wanted(), bytes.size() - taken);
    if (!handshake.Receive(bytes.subspan(taken, n))) break;
    taken += n;
  }
  return taken;
}

Handshake Offered(const CoredumpOffer& offer) {
  Handshake handshake;
  Give(handshake, EncodeCoredumpRequest(offer));
  return handshake;
}

std::vector<std::byte> Mark(std::uint32_t mark) {
  const auto bytes = std::as_bytes(std::span(&mark, 1));
  return {bytes.begin(), bytes.end()};
}

TEST(Handshake, ReadsTheRequestWhateverThePieces) {
  const auto wire = EncodeCoredumpRequest({});
  Handshake handshake;
  for (const std::byte b : wire) {
    EXPECT_EQ(handshake.state(), State::kRequest);
    ASSERT_TRUE(handshake.Receive(std::span(&b, 1)));
  }
  EXPECT_EQ(handshake.state(), State::kAnswer);
  EXPECT_EQ(handshake.request().mask, 0xfu);
}

TEST(Handshake, ConsumesTheWholeOfALongerRequest) {
  Handshake handshake;
  const auto wire = EncodeCoredumpRequest({.size = 32, .size_ack = 24, .mask = 0x7f});
  EXPECT_EQ(Give(handshake, wire), 32u);
  ASSERT_EQ(handshake.state(), State::kAnswer);
  const auto ack = handshake.Answer(CoredumpWish::kCore);
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->size, 16u);  // its own size, though the kernel would take 24
  EXPECT_EQ(ack->mask, kCoredumpKernel | kCoredumpWait);
}

TEST(Handshake, RefusesSizesOutsideTheProtocol) {
  for (const std::uint32_t size : {0u, 4u, 15u, 4096u, 0xffffffffu}) {
    Handshake handshake;
    const auto bytes = std::as_bytes(std::span(&size, 1));
    EXPECT_FALSE(handshake.Receive(bytes)) << size;
  }
  Handshake handshake;
  (void)Give(handshake, EncodeCoredumpRequest({.size = 16, .size_ack = 8}));
  EXPECT_EQ(handshake.state(), State::kRequest);
}

TEST(Handshake, NeverWantsABytePastTheMark) {
  Handshake handshake = Offered({});
  EXPECT_EQ(handshake.wanted(), 0u);
  ASSERT_TRUE(handshake.Answer(CoredumpWish::kCore));
  EXPECT_EQ(handshake.wanted(), 4u);
  EXPECT_FALSE(handshake.Receive(std::vector<std::byte>(5)));
  ASSERT_TRUE(handshake.Receive(Mark(0)));
  EXPECT_EQ(handshake.state(), State::kAccepted);
  EXPECT_EQ(handshake.wanted(), 0u);
}

TEST(Handshake, TellsEachMark) {
  for (const std::uint32_t mark : {1u, 2u, 3u, 4u, 77u}) {
    Handshake handshake = Offered({});
    ASSERT_TRUE(handshake.Answer(CoredumpWish::kEvent));
    ASSERT_TRUE(handshake.Receive(Mark(mark)));
    EXPECT_EQ(handshake.state(), State::kRefused);
    EXPECT_EQ(static_cast<std::uint32_t>(handshake.mark()), mark);
    EXPECT_FALSE(Describe(handshake.mark()).empty());
  }
}

TEST(Handshake, AnswersEachWish) {
  const auto mask = [](CoredumpWish wish, std::uint64_t offered) {
    Handshake handshake = Offered({.mask = offered});
    const auto ack = handshake.Answer(wish);
    return ack ? ack->mask : 0;
  };
  EXPECT_EQ(mask(CoredumpWish::kCore, 0xf), kCoredumpKernel | kCoredumpWait);
  EXPECT_EQ(mask(CoredumpWish::kEvent, 0xf), kCoredumpUserspace | kCoredumpWait);
  EXPECT_EQ(mask(CoredumpWish::kReject, 0xf), kCoredumpReject);
}

TEST(Handshake, AsksForMemoryTypes) {
  for (const std::uint64_t types : {std::uint64_t{0}, std::uint64_t{0x31}, std::uint64_t{0x1ff}}) {
    Handshake handshake = Offered(OfferOfLinux74(0x33));
    const auto ack = handshake.Answer(CoredumpWish::kCore, types);
    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->size, 24u);
    EXPECT_EQ(ack->mask, kCoredumpKernel | kCoredumpWait | kCoredumpMemoryTypes);
    EXPECT_EQ(ack->memory_types, types);
    EXPECT_EQ(handshake.state(), State::kMark);
  }
}

/// 16 bytes, as every kernel takes them.
bool AsksForNoTypes(const Result<CoredumpAck>& ack) {
  return ack && ack->size == 16 && (ack->mask & kCoredumpMemoryTypes) == 0 && ack->memory_types == 0;
}

TEST(Handshake, AsksForNoMemoryTypesThatTheKernelDoesNotTake) {
  const auto answer = [](const CoredumpOffer& offer, std::optional<std::uint64_t> types) {
    return Offered(offer).Answer(CoredumpWish::kCore, types);
  };
  CoredumpOffer offer = OfferOfLinux74(0x33);
  EXPECT_TRUE(AsksForNoTypes(answer(offer, std::nullopt)));
  EXPECT_TRUE(AsksForNoTypes(answer(offer, 0x200))) << "it does not know it";
  EXPECT_TRUE(AsksForNoTypes(answer(offer, 0x231)));
  offer.mask &= ~std::uint64_t{kCoredumpMemoryTypes};
  EXPECT_TRUE(AsksForNoTypes(answer(offer, 0x31))) << "it is not on offer";
  offer = OfferOfLinux74(0x33);
  for (const std::uint32_t size_ack : {16u, 20u, 23u}) {
    offer.size_ack = size_ack;
    EXPECT_TRUE(AsksForNoTypes(answer(offer, 0x31))) << "there is no room for them: " << size_ack;
  }
  offer = OfferOfLinux74(0x33);
  offer.size = 24;
  EXPECT_TRUE(AsksForNoTypes(answer(offer, 0x31))) << "it does not say which it knows";
}

TEST(Handshake, AsksForMemoryTypesOfACoreOnly) {
  for (const CoredumpWish wish : {CoredumpWish::kEvent, CoredumpWish::kReject})
    EXPECT_TRUE(AsksForNoTypes(Offered(OfferOfLinux74(0x33)).Answer(wish, 0x31)));
  CoredumpOffer offer = OfferOfLinux74(0x33);
  offer.mask &= ~std::uint64_t{kCoredumpUserspace};
  EXPECT_TRUE(AsksForNoTypes(Offered(offer).Answer(CoredumpWish::kEvent, 0x31))) << "cut short";
}

TEST(Handshake, AsksOnlyForWhatIsOffered) {
  const auto answer = [](CoredumpWish wish, std::uint64_t offered) {
    return Offered({.mask = offered}).Answer(wish);
  };
  EXPECT_EQ(answer(CoredumpWish::kCore, kCoredumpKernel)->mask, kCoredumpKernel);
  EXPECT_EQ(answer(CoredumpWish::kEvent, kCoredumpKernel)->mask, kCoredumpKernel)
      << "an event by cutting the dump short";
  EXPECT_EQ(answer(CoredumpWish::kCore, kCoredumpUserspace).error().code, ENOTSUP);
  EXPECT_EQ(answer(CoredumpWish::kReject, kCoredumpKernel).error().code, ENOTSUP);
}

}  // namespace
}  // namespace obit
