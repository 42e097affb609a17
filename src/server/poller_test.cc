#include "server/poller.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/test_support.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class PollerTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<Poller::Ready> Now() const { return poller_.Wait(0); }

  Poller poller_ = *Poller::Create();
  SocketPair pair_ = *MakeSocketPair(SOCK_STREAM);
};

TEST_F(PollerTest, SaysWhatCanBeReadUntilItWasRead) {
  ASSERT_TRUE(poller_.Watch(pair_.first));
  EXPECT_THAT(Now(), IsEmpty());
  ASSERT_EQ(::write(pair_.second.get(), "x", 1), 1);
  for (int i = 0; i < 2; ++i) {
    const auto ready = Now();
    ASSERT_THAT(ready, SizeIs(1));
    EXPECT_EQ(ready[0].fd, pair_.first.get());
    EXPECT_TRUE(ready[0].readable);
    EXPECT_FALSE(ready[0].writable);
  }
  char byte = 0;
  ASSERT_EQ(::read(pair_.first.get(), &byte, 1), 1);
  EXPECT_THAT(Now(), IsEmpty());
}

TEST_F(PollerTest, SaysThatTheOtherEndIsGone) {
  ASSERT_TRUE(poller_.Watch(pair_.first));
  pair_.second.Reset();
  const auto ready = Now();
  ASSERT_THAT(ready, SizeIs(1));
  EXPECT_TRUE(ready[0].readable);
}

TEST_F(PollerTest, SaysWhatCanBeWrittenOnlyIfAsked) {
  ASSERT_TRUE(poller_.Watch(pair_.first));
  EXPECT_THAT(Now(), IsEmpty());
  ASSERT_TRUE(poller_.Watch(pair_.first, true));
  const auto ready = Now();
  ASSERT_THAT(ready, SizeIs(1));
  EXPECT_TRUE(ready[0].writable);
  EXPECT_FALSE(ready[0].readable);
  ASSERT_TRUE(poller_.Watch(pair_.first));
  EXPECT_THAT(Now(), IsEmpty());
}

TEST_F(PollerTest, ForgetsAlsoWhatOthersHaveCopiesOf) {
  const Fd copy(::dup(pair_.first.get()));
  ASSERT_TRUE(poller_.Watch(pair_.first));
  ASSERT_EQ(::write(pair_.second.get(), "x", 1), 1);
  poller_.Forget(pair_.first.get());
  poller_.Forget(pair_.first.get());
  EXPECT_THAT(Now(), IsEmpty());
  ASSERT_TRUE(poller_.Watch(pair_.first));
  EXPECT_THAT(Now(), SizeIs(1));
}

TEST_F(PollerTest, WatchesNoRegularFile) { EXPECT_FALSE(poller_.Watch(*Open("/proc/self/exe", O_RDONLY))); }

}  // namespace
}  // namespace obit
