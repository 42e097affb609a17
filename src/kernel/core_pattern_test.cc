#include "kernel/core_pattern.h"

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

constexpr int kLockSeconds = 100;  // other tests change the pattern for a while

TEST(Transport, HasOneNameBothWays) {
  for (const Transport transport :
       {Transport::kFile, Transport::kPipe, Transport::kSocket, Transport::kSocketRequest})
    EXPECT_EQ(TransportNamed(NameOf(transport)), transport);
  EXPECT_EQ(NameOf(Transport::kSocketRequest), "socket-request");
  for (const char* name : {"", "auto", "Pipe", "socket "}) EXPECT_FALSE(TransportNamed(name)) << name;
}

TEST(TransportOf, GoesByTheFirstCharactersOnly) {
  EXPECT_EQ(TransportOf("core"), Transport::kFile);
  EXPECT_EQ(TransportOf("/var/core/@%p|"), Transport::kFile);
  EXPECT_EQ(TransportOf(""), Transport::kFile);
  EXPECT_EQ(TransportOf(" |x"), Transport::kFile);
  EXPECT_EQ(TransportOf("|/usr/bin/x %p"), Transport::kPipe);
  EXPECT_EQ(TransportOf("@/run/x"), Transport::kSocket);
  EXPECT_EQ(TransportOf("@@/run/x"), Transport::kSocketRequest);
}

TEST(SocketCorePattern, PutsTheTransportBeforeThePath) {
  EXPECT_EQ(SocketCorePattern(Transport::kSocket, "/run/s").value(), "@/run/s");
  EXPECT_EQ(SocketCorePattern(Transport::kSocketRequest, "/run/s").value(), "@@/run/s");
}

TEST(SocketCorePattern, RefusesAPathThatIsNotAbsolute) {
  for (const char* path : {"", "run/s", "./s", "@/run/s", "../s"})
    EXPECT_THAT(SocketCorePattern(Transport::kSocket, path), FailsWith(EINVAL)) << path;
}

TEST(SocketCorePattern, RefusesDotDotOnlyAsAWholeName) {
  for (const char* path : {"/..", "/a/../s", "/a/..", "/../s"})
    EXPECT_THAT(SocketCorePattern(Transport::kSocketRequest, path), FailsWith(EINVAL)) << path;
  for (const char* path : {"/a..b/s", "/..a/s", "/a../s", "/.../s", "/./s"})
    EXPECT_THAT(SocketCorePattern(Transport::kSocketRequest, path), Succeeds()) << path;
}

TEST(SocketCorePattern, RefusesWhatTheKernelTakesAndThenFailsOn) {
  EXPECT_THAT(SocketCorePattern(Transport::kSocket, "/run/a b"), FailsWith(EINVAL));
  EXPECT_THAT(SocketCorePattern(Transport::kSocket, "/run/s "), FailsWith(EINVAL));
}

TEST(SocketCorePattern, RefusesWhereTheKernelWouldCutThePattern) {
  EXPECT_THAT(SocketCorePattern(Transport::kSocket, "/run/a\nb"), FailsWith(EINVAL));
  EXPECT_THAT(SocketCorePattern(Transport::kSocket, std::string_view("/run/a\0b", 8)), FailsWith(EINVAL));
}

TEST(SocketCorePattern, TakesPathsOf107BytesAndNoMore) {
  const std::string longest = "/" + std::string(106, 'x');
  EXPECT_THAT(SocketCorePattern(Transport::kSocketRequest, longest), Succeeds());
  EXPECT_THAT(SocketCorePattern(Transport::kSocketRequest, longest + "x"), FailsWith(ENAMETOOLONG));
}

TEST(TargetOf, IsWhatStandsBehindTheTransport) {
  EXPECT_EQ(TargetOf("@@/run/s"), "/run/s");
  EXPECT_EQ(TargetOf("@/run/s"), "/run/s");
  EXPECT_EQ(TargetOf("|/usr/bin/x %p %F"), "/usr/bin/x");
  EXPECT_EQ(TargetOf("| /usr/bin/x\t%p"), "/usr/bin/x");
  EXPECT_EQ(TargetOf("|"), "");
  EXPECT_FALSE(TargetOf("/var/core"));
}

TEST(ReadCorePattern, HasNoNewline) {
  const auto pattern = ReadCorePattern();
  ASSERT_THAT(pattern, Succeeds());
  EXPECT_EQ(pattern->find('\n'), std::string::npos);
  EXPECT_LE(pattern->size(), kCorePatternMax);
}

TEST(ReadCorePipeLimit, IsANumber) { EXPECT_THAT(ReadCorePipeLimit(), Succeeds()); }

TEST(WriteCorePattern, RefusesOneThatTheKernelWouldCut) {
  const auto before = ReadCorePattern();
  EXPECT_THAT(WriteCorePattern(std::string(kCorePatternMax + 1, 'x')), FailsWith(ENAMETOOLONG));
  EXPECT_EQ(ReadCorePattern().value(), before.value());
}

// The machine's own pattern is written back and no other, so that a crash in the middle finds nothing
// changed.
TEST(WriteCorePattern, LeavesTheValueThatWasRead) {
  if (::geteuid() != 0) {
    EXPECT_THAT(WriteCorePattern("core"), FailsWith(EACCES));
    return;
  }
  const auto lock = LockCorePattern(kLockSeconds);
  ASSERT_THAT(lock, Succeeds());
  const auto before = ReadCorePattern();
  ASSERT_THAT(before, Succeeds());
  EXPECT_THAT(WriteCorePattern(*before), Succeeds());
  EXPECT_EQ(ReadCorePattern().value(), *before);
}

TEST(LockCorePattern, IsHeldByOneAtATime) {
  const auto first = LockCorePattern(kLockSeconds);
  if (::geteuid() != 0 && !first) return;  // the file is root's
  ASSERT_THAT(first, Succeeds());
  EXPECT_THAT(LockCorePattern(0), FailsWith(EBUSY));
  EXPECT_EQ(::fcntl(first->get(), F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace obit
