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
  const auto message = Parse({"F3", "P4711", "I4712", "s11", "t1795442531", "d2", "c18446744073709551615"});
  ASSERT_THAT(message, Succeeds());
  EXPECT_EQ(message->pid, 4711);
  EXPECT_EQ(message->tid, 4712);
  EXPECT_EQ(message->signal, 11);
  EXPECT_EQ(message->dump_mode, 2);
  EXPECT_EQ(message->has_pidfd, 1u);
  EXPECT_EQ(message->time, 1795442531u);
  EXPECT_EQ(message->core_limit, UINT64_MAX);
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
  EXPECT_EQ(*pattern, "|/usr/libexec/obit/obit-pipe /run/obit/pipe.socket F%F P%P I%I s%s t%t d%d c%c");
}

TEST(PipeCorePattern, RefusesWhatTheKernelWouldTakeWrongly) {
  EXPECT_THAT(PipeCorePattern("obit-pipe", "/s"), FailsWith(EINVAL));
  EXPECT_THAT(PipeCorePattern("/a b", "/s"), FailsWith(EINVAL));
  EXPECT_THAT(PipeCorePattern("/a", "/s%p"), FailsWith(EINVAL));
  EXPECT_THAT(PipeCorePattern("/a", "/" + std::string(120, 's')), FailsWith(ENAMETOOLONG));
}

}  // namespace
}  // namespace obit
