#include "server/clerk_orders.h"

#include <functional>
#include <optional>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test_support.h"
#include "base/unix_socket.h"
#include "server/facts_record.h"
#include "server/message_bytes.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = Order::Kind;

/// What the clerk was told, and how many descriptors came with it.
struct Told {
  Order order;
  std::string text;
  std::size_t fds = 0;
};

/// A clerk that does nothing by itself.
class StandInClerk {
 public:
  explicit StandInClerk(ClerkOrders& orders) : orders_(orders) {
    SocketPair pair = *MakeSocketPair(SOCK_SEQPACKET);
    managers_ = std::move(pair.first);
    ::fcntl(managers_.get(), F_SETFL, O_NONBLOCK);
    mine_ = std::move(pair.second);
    orders_.Connect(&managers_);
  }
  StandInClerk(StandInClerk&&) = delete;
  ~StandInClerk() { orders_.Connect(nullptr); }

  std::optional<Told> Read() const {
    const auto message = ReceiveMessage(mine_, kMessageMax, MSG_DONTWAIT);
    const auto order = message ? HeadOf<Order>(*message) : std::nullopt;
    if (!order) return std::nullopt;
    return Told{*order, std::string(TextBehind<Order>(*message)), message->fds.size()};
  }
  /// Everything that is there.
  std::vector<Told> ReadAll() const {
    std::vector<Told> all;
    while (auto told = Read()) all.push_back(std::move(*told));
    return all;
  }

 private:
  ClerkOrders& orders_;
  Fd managers_, mine_;
};

std::vector<Kind> KindsOf(const std::vector<Told>& all) {
  std::vector<Kind> kinds;
  for (const Told& told : all) kinds.push_back(told.order.kind);
  return kinds;
}
std::vector<CrashKey> CrashesOf(const std::vector<Told>& all) {
  std::vector<CrashKey> crashes;
  for (const Told& told : all) crashes.push_back(told.order.crash);
  return crashes;
}

class ClerkOrdersTest : public ::testing::Test {
 protected:
  void Give(CrashKey crash, std::string_view text = "facts", Fd mapped = {}) {
    orders_.Give({.kind = Kind::kRecord, .crash = crash}, text, {}, std::move(mapped));
  }
  bool Flush() { return orders_.Flush() == ClerkOrders::Flushed::kAll; }
  static Fd File() { return *Open("/dev/null", O_RDONLY); }

  ClerkOrders orders_;
};

TEST_F(ClerkOrdersTest, ComeInOrderWithTheirTextAndBag) {
  const StandInClerk clerk(orders_);
  Give(1, "first");
  Give(2, "second", File());
  EXPECT_TRUE(Flush());
  const auto all = clerk.ReadAll();
  ASSERT_THAT(CrashesOf(all), ElementsAre(1, 2));
  EXPECT_EQ(all[0].text, "first");
  EXPECT_EQ(all[0].fds, 0U);
  EXPECT_EQ(all[1].text, "second");
  EXPECT_EQ(all[1].fds, 1U);
  orders_.OnDone(1);
  orders_.OnDone(2);
  const StandInClerk second(orders_);
  EXPECT_TRUE(Flush());
  EXPECT_THAT(CrashesOf(second.ReadAll()), IsEmpty());
}

TEST_F(ClerkOrdersTest, CarryATraceBehindWhatWasMapped) {
  const StandInClerk clerk(orders_);
  orders_.Give({.kind = Kind::kRecord, .has_mapped = 1, .crash = 1, .has_trace = 1}, "facts", {}, File(), {},
               File());
  EXPECT_TRUE(Flush());
  EXPECT_EQ(clerk.Read()->fds, 2U);
  const StandInClerk next(orders_);
  EXPECT_TRUE(Flush());
  EXPECT_EQ(next.Read()->fds, 0U) << "they were for the clerk of then";
}

TEST_F(ClerkOrdersTest, WaitForAClerk) {
  Give(1);
  EXPECT_TRUE(Flush());
  const StandInClerk clerk(orders_);
  EXPECT_TRUE(Flush());
  EXPECT_THAT(CrashesOf(clerk.ReadAll()), ElementsAre(1));
}

TEST_F(ClerkOrdersTest, WhatIsNotDoneIsToldToTheNextClerk) {
  {
    const StandInClerk first(orders_);
    for (CrashKey crash = 1; crash <= 3; ++crash) Give(crash, "facts", File());
    EXPECT_TRUE(Flush());
    orders_.OnDone(2);
  }
  Give(4);
  const StandInClerk second(orders_);
  EXPECT_TRUE(Flush());
  const auto all = second.ReadAll();
  EXPECT_THAT(CrashesOf(all), ElementsAre(1, 3, 4));
  for (const Told& told : all) EXPECT_EQ(told.fds, 0U) << "the bag was for the first one";
}

TEST_F(ClerkOrdersTest, WhatWasNotToldCannotBeDone) {
  Give(1);
  orders_.OnDone(1);
  const StandInClerk clerk(orders_);
  EXPECT_TRUE(Flush());
  EXPECT_THAT(CrashesOf(clerk.ReadAll()), ElementsAre(1));
}

TEST_F(ClerkOrdersTest, ASlowClerkGetsAllInTheEnd) {
  const StandInClerk clerk(orders_);
  const std::string facts(kFactsMax, 'f');
  CrashKey given = 0;
  while (Flush()) Give(++given, facts);
  Give(++given, facts);
  EXPECT_FALSE(Flush()) << "it takes no more for now";
  std::vector<CrashKey> told;
  while (told.size() < given) {
    const auto next = clerk.Read();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->text.size(), facts.size());
    told.push_back(next->order.crash);
    (void)Flush();
  }
  EXPECT_TRUE(std::ranges::is_sorted(told));
  EXPECT_TRUE(Flush());
  EXPECT_FALSE(clerk.Read());
}

TEST_F(ClerkOrdersTest, TheirFactsTakeRoomUntilTheyAreDone) {
  FactsBudget budget;
  FactsBudget::Room room(budget, 1000);
  ASSERT_TRUE(room.Resize(FactsBudget::kMax / 2));
  orders_.Give({.kind = Kind::kRecord, .crash = 1}, "facts", {}, Fd(), std::move(room));
  const StandInClerk clerk(orders_);
  EXPECT_TRUE(Flush());
  FactsBudget::Room other(budget, 1000);
  EXPECT_FALSE(other.Resize(1));
  orders_.OnDone(1);
  EXPECT_TRUE(other.Resize(1));
}

TEST_F(ClerkOrdersTest, NumbersWaitForCompany) {
  const StandInClerk clerk(orders_);
  EXPECT_TRUE(Flush());
  orders_.AddLost("a line");
  orders_.AddRepeats(
      {{.kept_time = 9, .repeats = {.id = "00000000000000aa", .crashes = 4, .first = 1, .last = 5}}});
  orders_.AddRepeats(
      {{.kept_time = 9, .repeats = {.id = "00000000000000aa", .crashes = 6, .first = 1, .last = 7}}});
  orders_.SetLoad({.queued = 2, .tallies = {.repeated = 3, .lost = 1}});
  EXPECT_TRUE(Flush());
  EXPECT_THAT(clerk.ReadAll(), IsEmpty());
  orders_.FlushNumbers();
  EXPECT_TRUE(Flush());
  const auto all = clerk.ReadAll();
  ASSERT_THAT(KindsOf(all), ElementsAre(Kind::kLost, Kind::kRepeats, Kind::kLoad));
  EXPECT_EQ(all[0].text, "a line");
  EXPECT_EQ(TextIn(all[1].order.head.id), "00000000000000aa");
  EXPECT_EQ(all[1].order.head.time, 9);
  EXPECT_EQ(all[1].order.count, 6U) << "the count of now";
  EXPECT_EQ(all[1].order.last, 7);
  EXPECT_EQ(all[2].order.load.queued, 2U);
  EXPECT_EQ(all[2].order.load.tallies.repeated, 3U);
  orders_.FlushNumbers();
  EXPECT_TRUE(Flush());
  EXPECT_THAT(clerk.ReadAll(), IsEmpty()) << "told once";
}

TEST_F(ClerkOrdersTest, LinesAreBounded) {
  for (int i = 0; i < 1000; ++i) {
    orders_.AddLost("a line");
    orders_.AddCounted(fmt::format("program {}", i % 200), {.pid = i, .signal = 6},
                       CountCause::kConfiguration);
  }
  const StandInClerk clerk(orders_);
  orders_.FlushNumbers();
  std::size_t lost = 0;
  std::vector<Told> counted;
  for (bool all = false; !all;) {
    all = Flush();
    for (const Told& told : clerk.ReadAll())
      if (told.order.kind == Kind::kCount)
        counted.push_back(told);
      else if (!told.text.empty())
        ++lost;
  }
  EXPECT_EQ(lost, 64U);
  ASSERT_EQ(counted.size(), 65U);
  EXPECT_EQ(counted[0].text, "") << "all others together";
  EXPECT_EQ(counted[0].order.count, (200U - 64) * 5);
  EXPECT_EQ(counted[1].text, "program 0");
  EXPECT_EQ(counted[1].order.head.signal, 6);
  EXPECT_EQ(counted[1].order.head.pid, 0);
  EXPECT_EQ(counted[1].order.count, 5U);
}

TEST_F(ClerkOrdersTest, EachClerkIsToldTheLoad) {
  orders_.SetLoad({.tallies = {.counted = 4, .lost = 5}});
  for (int i = 0; i < 2; ++i) {  // the first one dies with it unread
    const StandInClerk clerk(orders_);
    orders_.FlushNumbers();
    EXPECT_TRUE(Flush());
    const auto all = clerk.ReadAll();
    ASSERT_THAT(KindsOf(all), ElementsAre(Kind::kLoad));
    EXPECT_EQ(all[0].order.load.tallies.counted, 4U);
    EXPECT_EQ(all[0].order.load.tallies.lost, 5U);
  }
}

TEST_F(ClerkOrdersTest, EachClerkIsToldHowItIsToGoOn) {
  orders_.Configure("[capture]\nslots = 3\n");
  orders_.Hold(true);
  for (int i = 0; i < 2; ++i) {
    const StandInClerk clerk(orders_);
    EXPECT_TRUE(Flush());
    const auto all = clerk.ReadAll();
    ASSERT_THAT(KindsOf(all), ElementsAre(Kind::kConfigure, Kind::kHoldJobs));
    EXPECT_EQ(all[0].text, "[capture]\nslots = 3\n");
    EXPECT_EQ(all[1].order.held, 1U);
  }
  const StandInClerk clerk(orders_);
  EXPECT_TRUE(Flush());
  (void)clerk.ReadAll();
  orders_.Hold(false);
  orders_.Hold(true);
  EXPECT_TRUE(Flush());
  EXPECT_THAT(clerk.ReadAll(), IsEmpty()) << "nothing has changed";
}

TEST_F(ClerkOrdersTest, BagsThatNobodyWantsAreClosedByTheClerk) {
  const StandInClerk clerk(orders_);
  orders_.Discard(Fd());
  orders_.Discard(File());
  EXPECT_TRUE(Flush());
  const auto all = clerk.ReadAll();
  ASSERT_THAT(KindsOf(all), ElementsAre(Kind::kDiscard));
  EXPECT_EQ(all[0].fds, 1U);
}

TEST_F(ClerkOrdersTest, BagsCountUntilTheClerkHasClosedThem) {
  {
    const StandInClerk clerk(orders_);
    for (int i = 0; i < 3; ++i) orders_.Discard(File());
    EXPECT_EQ(orders_.not_closed(), 3U);
    EXPECT_TRUE(Flush());
    EXPECT_EQ(orders_.discarded(), 0U);
    EXPECT_EQ(orders_.not_closed(), 3U);
    orders_.OnDiscarded();
    EXPECT_EQ(orders_.not_closed(), 2U);
  }
  EXPECT_EQ(orders_.not_closed(), 0U) << "they went with the clerk";
  orders_.OnDiscarded();
  EXPECT_EQ(orders_.not_closed(), 0U);
}

TEST_F(ClerkOrdersTest, BagsThatNobodyWantsDoNotWaitForOrders) {
  const StandInClerk clerk(orders_);
  const std::string facts(kFactsMax, 'f');
  for (CrashKey crash = 1; crash <= 100; ++crash) Give(crash, facts);
  orders_.Discard(File());
  EXPECT_FALSE(Flush()) << "it takes no more for now";
  EXPECT_EQ(orders_.discarded(), 0U);
  EXPECT_EQ(clerk.Read()->order.kind, Kind::kDiscard);
}

/// More descriptors under way than the limit lets a process without rights send: until Empty().
class FullOfDescriptors {
 public:
  FullOfDescriptors() {
    const Fd file = *Open("/dev/null", O_RDONLY);
    const std::vector<int> files(100, file.get());
    const char byte = 0;
    (void)SendMessage(bag_.first, std::as_bytes(std::span(&byte, 1)), files);
    const rlimit limit{50, 50};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  void Empty() { bag_ = {}; }

 private:
  SocketPair bag_ = *MakeSocketPair(SOCK_SEQPACKET);
};

/// In a process without rights, whose user has nothing else under way: `test` exits with 0 if all is right.
void WithoutRights(const std::function<bool()>& test) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  testing::Child child(::fork());
  if (child.pid() == 0) {
    constexpr uid_t kNobodyElse = 3'999'999'999;
    ::_exit(::setuid(kNobodyElse) == 0 && test() ? 0 : 1);
  }
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(ClerkOrdersTest, WhatHasNoDescriptorDoesNotWaitWhereNoneCanBeSent) {
  WithoutRights([this] {
    const StandInClerk clerk(orders_);
    FullOfDescriptors full;
    orders_.Discard(File());
    Give(1, "facts", File());
    orders_.SetLoad({.queued = 1});
    orders_.FlushNumbers();
    bool right = orders_.Flush() == ClerkOrders::Flushed::kShort;
    auto all = clerk.ReadAll();
    right = right && KindsOf(all) == std::vector{Kind::kRecord, Kind::kLoad} && all[0].fds == 0 &&
            all[0].order.has_mapped == 0 && orders_.discarded() == 2;
    full.Empty();
    right = right && orders_.Flush() == ClerkOrders::Flushed::kAll;
    all = clerk.ReadAll();
    return right && KindsOf(all) == std::vector{Kind::kDiscard, Kind::kDiscard} && all[0].fds == 1;
  });
}

TEST_F(ClerkOrdersTest, TheStopIsTheLast) {
  const StandInClerk clerk(orders_);
  orders_.Stop();
  Give(1);
  orders_.AddLost("a line");
  EXPECT_TRUE(Flush());
  EXPECT_THAT(KindsOf(clerk.ReadAll()), ElementsAre(Kind::kRecord, Kind::kLost, Kind::kLoad, Kind::kStop));
  EXPECT_TRUE(Flush());
  EXPECT_THAT(clerk.ReadAll(), IsEmpty());
}

TEST_F(ClerkOrdersTest, ANextClerkIsStoppedToo) {
  orders_.Stop();
  for (int i = 0; i < 2; ++i) {
    const StandInClerk clerk(orders_);
    EXPECT_TRUE(Flush());
    EXPECT_EQ(clerk.ReadAll().back().order.kind, Kind::kStop);
  }
}

}  // namespace
}  // namespace obit
