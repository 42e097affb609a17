#include "kernel/pipe_message.h"

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

Result<PipeMessage> Parse(const std::vector<const char*>& arguments) {
  return ParsePipeArguments(static_cast<int>(arguments.size()), arguments.data());
}

TEST(PipeArguments, AsTheKernelExpandsThem) {
  const auto message =
      Parse({"F3", "P4711", "I4712", "s11", "t1795442531", "d2", "c18446744073709551615", "U1000"});
  ASSERT_THAT(message, Succeeds());
  EXPECT_EQ(message->pid, 4711);
  EXPECT_EQ(message->tid, 4712);
  EXPECT_EQ(message->signal, 11);
  EXPECT_EQ(message->dump_mode, 2);
  EXPECT_EQ(message->has_pidfd, 1u);
  EXPECT_EQ(message->time, 1795442531u);
  EXPECT_EQ(message->core_limit, UINT64_MAX);
  EXPECT_EQ(message->has_uid, 1u);
  EXPECT_EQ(message->uid, 1000u);
}

TEST(PipeArguments, OfAPatternThatAnOlderObitSet) {
  const auto message = Parse({"F3", "P4711", "I4712", "s11", "t1795442531", "d2", "c0"});
  ASSERT_THAT(message, Succeeds());
  EXPECT_EQ(message->pid, 4711);
  EXPECT_EQ(message->has_uid, 0u);
}

TEST(PipeArguments, AreOfAnyUser) {
  const auto root = Parse({"P1", "U0"}), last = Parse({"P1", "U4294967294"});
  EXPECT_EQ(root->has_uid, 1u);
  EXPECT_EQ(root->uid, 0u);
  EXPECT_EQ(last->uid, 4294967294u);
  for (const char* none : {"U", "U%u", "U-1", "U4294967296"})
    EXPECT_EQ(Parse({"P1", none})->has_uid, 0u) << none;
}

TEST(PipeArguments, OfAKernelWithoutPidfd) {
  for (const char* none : {"F", "F%F", "F4"}) {
    const auto message = Parse({none, "P4711"});
    ASSERT_THAT(message, Succeeds());
    EXPECT_EQ(message->has_pidfd, 0u) << none;
  }
}

TEST(PipeArguments, WhatIsUnknownOrOddIsNothing) {
  const auto message = Parse({"", "P1", "x7", "s-1", "I99999999999", "t", "cx"});
  ASSERT_THAT(message, Succeeds());
  EXPECT_EQ(message->signal, 0);
  EXPECT_EQ(message->tid, 0);
  EXPECT_EQ(message->time, 0u);
  EXPECT_EQ(message->core_limit, UINT64_MAX) << "a limit that is not told is none";
}

TEST(PipeArguments, NeedThePid) {
  for (const char* pid : {"P", "P0", "P-5", "Px", "p5", "P4294967297"})
    EXPECT_THAT(Parse({pid}), FailsWith(EINVAL));
  EXPECT_THAT(Parse({}), FailsWith(EINVAL));
}

TEST(PipeCorePattern, NamesHelperAndSocket) {
  const auto pattern = PipeCorePattern("/usr/libexec/obit/obit-pipe", "/run/obit/pipe.socket");
  ASSERT_THAT(pattern, Succeeds());
  EXPECT_EQ(*pattern, "|/usr/libexec/obit/obit-pipe /run/obit/pipe.socket F%F P%P I%I s%s t%t d%d c%c U%u");
}

TEST(PipeCorePattern, RefusesWhatTheKernelWouldTakeWrongly) {
  EXPECT_THAT(PipeCorePattern("obit-pipe", "/s"), FailsWith(EINVAL));
  EXPECT_THAT(PipeCorePattern("/a b", "/s"), FailsWith(EINVAL));
  EXPECT_THAT(PipeCorePattern("/a", "/s%p"), FailsWith(EINVAL));
  EXPECT_THAT(PipeCorePattern("/a", "/" + std::string(120, 's')), FailsWith(ENAMETOOLONG));
}

Result<PipeMessage> Decode(const PipeMessage& message, std::size_t descriptors) {
  return DecodePipeMessage(std::as_bytes(std::span(&message, 1)), descriptors);
}

TEST(DecodePipeMessage, TakesWhatObitPipeSends) {
  const auto message = Decode({.pid = 4711, .tid = 4712, .signal = 11, .has_pidfd = 1, .core_limit = 5}, 2);
  ASSERT_THAT(message, Succeeds());
  EXPECT_EQ(message->pid, 4711);
  EXPECT_EQ(message->core_limit, 5u);
  EXPECT_THAT(Decode({.pid = 4711}, 1), Succeeds()) << "of a kernel without pidfd";
}

TEST(DecodePipeMessage, RefusesOtherSizesAndDescriptors) {
  const std::array<std::byte, 80> bytes{};
  for (const std::size_t size : {0u, 1u, 40u, 47u, 49u, 80u})
    EXPECT_THAT(DecodePipeMessage(std::span(bytes).first(size), 1), FailsWith(EBADMSG)) << size;
  for (const std::size_t descriptors : {0u, 3u, 250u})
    EXPECT_THAT(Decode({.pid = 1}, descriptors), FailsWith(EBADMSG)) << descriptors;
}

TEST(DecodePipeMessage, RefusesOtherVersions) {
  EXPECT_THAT(Decode({.version = 2, .pid = 1}, 1), FailsWith(EPROTO));
  EXPECT_THAT(Decode({.version = 4, .pid = 1}, 1), FailsWith(EPROTO));
  EXPECT_THAT(Decode({.version = 0, .pid = 1}, 1), FailsWith(EPROTO));
  EXPECT_THAT(Decode({.pid = 0}, 1), FailsWith(EPROTO));
  EXPECT_THAT(Decode({.pid = -1}, 1), FailsWith(EPROTO));
  EXPECT_THAT(Decode({.pid = 1, .has_pidfd = 1}, 1), FailsWith(EPROTO)) << "a pidfd that did not come";
  EXPECT_THAT(Decode({.pid = 1, .has_pidfd = 0}, 2), FailsWith(EPROTO)) << "one that nobody told of";
}

}  // namespace
}  // namespace obit
