#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ReleaseWatchTest : public testing::ManagerTest {
 protected:
  /// A crash that is stored and whose process does not exit.
  void Remains(CrashKey crash = 1, std::optional<uid_t> uid = 1000) {
    (void)Comes(crash, uid);
    (void)On(event::CaptureReleased{crash, Worker(0)});
    (void)Ends(crash);
    (void)On(event::OrderDone{crash});
    (void)On(event::SeatReady{Worker(0)});
  }
  /// What is said to a look.
  Lines Seen(std::uint64_t ticks, bool runs = false, CrashKey crash = 1) {
    return On(event::ActivityFound{crash, Inspector(0), true, ticks, runs});
  }
};

TEST_F(ReleaseWatchTest, WhatDoesNothingIsKilled) {
  Start();
  Remains();
  for (unsigned look = 1; look <= limits().idle_looks; ++look) {
    EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0")) << look;
    if (look == limits().idle_looks) break;
    EXPECT_THAT(Seen(100), IsEmpty());
  }
  EXPECT_THAT(Seen(100),
              ElementsAre("Say crash1 did not exit after its release, and does nothing: sending SIGKILL",
                          "KillProcess 1"));
  EXPECT_THAT(On(event::ProcessExited{1}), ElementsAre("Forget 1"));
}

TEST_F(ReleaseWatchTest, WhatSigkillDoesNotEndIsForgotten) {
  Start();
  Remains();
  for (unsigned look = 0; look < limits().idle_looks; ++look) {
    (void)After(limits().look);
    (void)Seen(100);
  }
  EXPECT_THAT(After(limits().die - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), ElementsAre("Forget 1"));
  EXPECT_EQ(manager_->NextDeadline(), INT64_MAX);
}

TEST_F(ReleaseWatchTest, WhatWorksIsLeftAlone) {
  Start();
  Remains();
  for (std::uint64_t look = 0; look < 300; ++look) {
    EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0"));
    EXPECT_THAT(Seen(look / 4), IsEmpty());
  }
  for (int look = 301; look < 600; ++look) {
    EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0"));
    EXPECT_THAT(Seen(1000, true), IsEmpty());
  }
  EXPECT_THAT(On(event::ProcessExited{1}), ElementsAre("Forget 1"));
}

TEST_F(ReleaseWatchTest, WhatWorksForVeryLongIsForgotten) {
  setup_.limits.capture = 3s;
  Start();
  Remains();
  for (int look = 1; look < 3; ++look) {
    EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0"));
    EXPECT_THAT(Seen(100, true), IsEmpty());
  }
  EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0"));
  EXPECT_THAT(Seen(100, true), ElementsAre("Forget 1")) << "SIGKILL is for those that do nothing";
}

TEST_F(ReleaseWatchTest, WhatCannotBeSeenDoesNothing) {
  Start();
  Remains();
  for (unsigned look = 1; look < limits().idle_looks; ++look) {
    (void)After(limits().look);
    EXPECT_THAT(On(event::ActivityFound{1, Inspector(0)}), IsEmpty());
  }
  (void)After(limits().look);
  EXPECT_THAT(On(event::SeatLost{Inspector(0), "died"}), Contains("KillProcess 1"));
}

TEST_F(ReleaseWatchTest, AnInspectorThatDoesNotTellIsKilled) {
  Start();
  Remains();
  (void)After(limits().look);
  EXPECT_THAT(After(limits().safe), Contains("Kill inspector 0"));
  EXPECT_THAT(After(limits().look), Contains("AskActivity 1 inspector 1"));
}

TEST_F(ReleaseWatchTest, NoInspectorIsWaitedFor) {
  setup_.inspectors = 1;
  Start();
  Remains();
  (void)On(event::SeatLost{Inspector(0), ""});
  EXPECT_THAT(After(limits().look * 19), IsEmpty()) << "to miss a look is not to see nothing";
  EXPECT_THAT(After(limits().look), Contains("KillProcess 1"));
}

TEST_F(ReleaseWatchTest, AProcessThatExitsIsNotKilledForALateAnswer) {
  Start();
  (void)Comes(1);
  (void)On(event::CaptureReleased{1, Worker(0)});
  for (unsigned look = 1; look < limits().idle_looks; ++look) {
    (void)After(limits().look);
    (void)Seen(100);
  }
  EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0"));
  EXPECT_THAT(On(event::ProcessExited{1}), IsEmpty()) << "its core is not stored yet";
  EXPECT_THAT(Seen(100), IsEmpty());
}

TEST_F(ReleaseWatchTest, IsOfACountedOneToo) {
  setup_.config.no_core_limit = Detail::kReject;
  Start();
  (void)Arrives(1, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("Release 1", "Count 1"));
  EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0"));
}

TEST_F(ReleaseWatchTest, WhenTheTimeToStopIsOverWhatWorksIsLeftToItself) {
  Start();
  Remains(1);
  Remains(2, 1);
  (void)On(event::Stopping{});
  for (auto passed = 1s; passed < limits().stop; ++passed) {
    (void)After(1s);
    (void)Seen(100, true);
    (void)On(event::ActivityFound{2, Inspector(1), true, 100, true});
  }
  EXPECT_THAT(After(limits().look), ElementsAre("AskActivity 1 inspector 0", "AskActivity 2 inspector 1"));
  EXPECT_THAT(Seen(100, true), ElementsAre("Forget 1"));
  for (unsigned look = 1; look < limits().idle_looks; ++look) {
    EXPECT_THAT(On(event::ActivityFound{2, Inspector(look == 1 ? 1 : 0)}), IsEmpty());
    (void)After(limits().look);
  }
  EXPECT_THAT(On(event::ActivityFound{2, Inspector(0)}), Contains("KillProcess 2"));
  EXPECT_THAT(After(limits().die), ElementsAre("Forget 2", "Stopped"));
}

}  // namespace
}  // namespace obit
