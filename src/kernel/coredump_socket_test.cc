#include "kernel/coredump_socket.h"

#include <bit>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::BytesOf;
using testing::FailsWith;
using testing::Succeeds;

std::vector<std::byte> Wire(CoredumpRequest request = {.size = 16, .size_ack = 16, .mask = 0xf},
                            std::size_t extra = 0) {
  const auto raw = std::bit_cast<std::array<std::byte, sizeof request>>(request);
  std::vector<std::byte> wire(raw.begin(), raw.begin() + kCoredumpRequestMin);
  wire.resize(wire.size() + extra, std::byte{0xee});
  return wire;
}

constexpr CoredumpRequest kLinux74{
    .size = 32, .size_ack = 24, .mask = 0x7f, .memory_types = 0x33, .memory_types_mask = 0x1ff};

/// The first bytes of that request, which says so, and others behind it.
std::vector<std::byte> WireOfLinux74(std::uint32_t size) {
  CoredumpRequest request = kLinux74;
  request.size = size;
  const auto raw = std::bit_cast<std::array<std::byte, sizeof request>>(request);
  std::vector<std::byte> wire(raw.begin(), raw.end());
  wire.resize(size, std::byte{0xee});
  return wire;
}

Result<std::size_t> SizeOf(std::uint32_t size) {
  const auto raw = std::bit_cast<std::array<std::byte, 4>>(size);
  return CoredumpRequestSize(raw);
}

TEST(DecodeCoredumpRequest, ReadsTheRequestOfLinux617) {
  const auto request = DecodeCoredumpRequest(Wire());
  ASSERT_THAT(request, Succeeds());
  EXPECT_EQ(request->size, 16u);
  EXPECT_EQ(request->size_ack, 16u);
  EXPECT_EQ(request->mask, kCoredumpKernel | kCoredumpUserspace | kCoredumpReject | kCoredumpWait);
}

TEST(DecodeCoredumpRequest, KeepsKnownFieldsOfALongerRequestFromANewerKernel) {
  const auto request = DecodeCoredumpRequest(Wire({.size = 32, .size_ack = 24, .mask = 0x7f}, 16));
  ASSERT_THAT(request, Succeeds());
  EXPECT_EQ(request->size_ack, 24u);
  EXPECT_EQ(request->mask, 0x7fu);
}

TEST(DecodeCoredumpRequest, HasNoMemoryTypesBefore74) {
  const auto request = DecodeCoredumpRequest(Wire());
  ASSERT_THAT(request, Succeeds());
  EXPECT_EQ(request->memory_types, 0u);
  EXPECT_EQ(request->memory_types_mask, 0u);
}

TEST(DecodeCoredumpRequest, ReadsTheMemoryTypesOfLinux74AndOfWhatFollows) {
  for (const std::uint32_t size : {32u, 33u, 40u, 4095u}) {
    const auto request = DecodeCoredumpRequest(WireOfLinux74(size));
    ASSERT_THAT(request, Succeeds()) << size;
    EXPECT_EQ(request->mask, kLinux74.mask);
    EXPECT_EQ(request->memory_types, kLinux74.memory_types);
    EXPECT_EQ(request->memory_types_mask, kLinux74.memory_types_mask);
  }
}

TEST(DecodeCoredumpRequest, TakesMemoryTypesAndTheirMaskOrNeither) {
  for (std::uint32_t size = 16; size < 32; ++size) {
    const auto request = DecodeCoredumpRequest(WireOfLinux74(size));
    ASSERT_THAT(request, Succeeds()) << size;
    EXPECT_EQ(request->mask, kLinux74.mask);
    EXPECT_EQ(request->memory_types, 0u) << size;
    EXPECT_EQ(request->memory_types_mask, 0u) << size;
  }
}

TEST(DecodeCoredumpRequest, RefusesEveryTruncation) {
  const auto whole = Wire({.size = 32, .size_ack = 24, .mask = 0x7f}, 16);
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_THAT(DecodeCoredumpRequest(std::span(whole).first(n)), FailsWith(EBADMSG)) << n;
}

TEST(DecodeCoredumpRequest, RefusesASizeThatIsNotTheMessages) {
  for (const std::uint32_t size : {0u, 15u, 17u, 4096u, UINT32_MAX})
    EXPECT_THAT(DecodeCoredumpRequest(Wire({.size = size, .size_ack = 16, .mask = 0xf})), FailsWith(EBADMSG))
        << size;
}

TEST(DecodeCoredumpRequest, TakesUpTo4095Bytes) {
  EXPECT_THAT(DecodeCoredumpRequest(Wire({.size = 4095, .size_ack = 16, .mask = 1}, 4079)), Succeeds());
  EXPECT_THAT(DecodeCoredumpRequest(Wire({.size = 4096, .size_ack = 16, .mask = 1}, 4080)),
              FailsWith(EBADMSG));
}

TEST(DecodeCoredumpRequest, RefusesAKernelThatTakesNoAnswer) {
  EXPECT_THAT(DecodeCoredumpRequest(Wire({.size = 16, .size_ack = 15, .mask = 0xf})), FailsWith(EBADMSG));
  EXPECT_THAT(DecodeCoredumpRequest(Wire({.size = 16, .size_ack = UINT32_MAX, .mask = 0xf})), Succeeds());
}

TEST(CoredumpRequestSize, IsFrom16To4095) {
  EXPECT_EQ(SizeOf(16).value(), 16u);
  EXPECT_EQ(SizeOf(4095).value(), 4095u);
  for (const std::uint32_t size : {0u, 15u, 4096u, UINT32_MAX})
    EXPECT_THAT(SizeOf(size), FailsWith(EBADMSG)) << size;
}

TEST(CoredumpRequestSize, IsNeverThatOfACore) {
  // A server tells "@" from "@@" by the first four bytes: they must not be both.
  const auto elf = BytesOf("\177ELF").first<4>();
  EXPECT_TRUE(BeginsElf(elf));
  EXPECT_THAT(CoredumpRequestSize(elf), FailsWith(EBADMSG));
}

TEST(BeginsElf, NeedsAllFourBytes) {
  EXPECT_FALSE(BeginsElf(BytesOf("\177ELG").first<4>()));
  EXPECT_FALSE(BeginsElf(BytesOf("ELF\177").first<4>()));
}

TEST(Describe, HasWordsForEveryMarkAndForOthers) {
  EXPECT_EQ(Describe(CoredumpMark::kAccepted), "accepted");
  EXPECT_EQ(Describe(CoredumpMark::kMinSize), "answer too short");
  EXPECT_EQ(Describe(CoredumpMark::kMaxSize), "answer too long");
  EXPECT_EQ(Describe(CoredumpMark::kUnsupported), "unsupported flag");
  EXPECT_EQ(Describe(CoredumpMark::kConflicting), "conflicting flags");
  EXPECT_EQ(Describe(static_cast<CoredumpMark>(0x464c457f)), "unknown mark");
}

}  // namespace
}  // namespace obit
