// The storms' witness: it must be able to complain (storm_test.cc).

#include <string_view>

#include "server/test_witness.h"

namespace obit {
namespace {

using ::testing::HasSubstr;

class ManagerWitnessTest : public ::testing::Test {
 protected:
  /// Tells the core; `more` is what it is then said to want beside.
  void Tell(const Event& event, std::vector<Command> more = {}) {
    witness_.Hear(event, ++now_);
    std::vector<Command> commands = manager_.On(event, now_);
    commands.insert(commands.end(), more.begin(), more.end());
    witness_.Hear(commands, manager_);
  }
  std::string_view Complaint() const { return testimony_.wrong ? testimony_.story.data() : ""; }

  const Manager::Setup setup_;
  Manager manager_{setup_, [this](const Seat& seat) {
                     witness_.HearProgress(seat, 0);
                     return 0;
                   }};
  testing::Testimony testimony_;
  testing::RefereeWitness witness_{setup_, testimony_};
  std::int64_t now_ = 1'000'000'000;
};

TEST_F(ManagerWitnessTest, IsContentWithTheCore) {
  Tell(event::SeatReady{{Role::kInspector, 0, 1}});
  Tell(event::SeatReady{{Role::kWorker, 0, 1}});
  Tell(event::Arrived{.crash = 1, .id = "one", .transport = Transport::kPipe});
  Tell(event::SiteFound{1, {Role::kInspector, 0, 1}});
  Tell(event::FactsFound{1, {Role::kInspector, 0, 1}, true});
  Tell(event::CaptureReleased{1, {Role::kWorker, 0, 1}});
  Tell(event::CaptureEnded{1, {Role::kWorker, 0, 1}, true});
  Tell(event::ProcessExited{1});
  Tell(event::Stopping{});
  EXPECT_EQ(testimony_.stopped, 0U) << "an order is open";
  Tell(event::OrderDone{1});
  EXPECT_EQ(testimony_.stopped, 1U);
  EXPECT_EQ(Complaint(), "");
  EXPECT_EQ(testimony_.CountOf(command::Commit{}), 1U);
}

TEST_F(ManagerWitnessTest, ComplainsOfACoreThatBreaksTheRules) {
  Tell(event::Arrived{.crash = 1, .id = "one"}, {command::StartCapture{.crash = 1}});
  EXPECT_THAT(Complaint(), HasSubstr("crash 1: its request has come"));
  EXPECT_THAT(Complaint(), HasSubstr("Arrived 1\n            -> StartCapture 1 inspector 0\n"));
}

TEST_F(ManagerWitnessTest, ComplainsOfACoreThatDoesNotSayTheSameAgain) {
  Tell(event::SeatReady{{Role::kInspector, 0, 1}}, {command::Say{5, "at one time"}});
  EXPECT_EQ(Complaint(), "");
  Tell(event::Stopping{});
  EXPECT_THAT(Complaint(), HasSubstr("told the same again"));
  EXPECT_THAT(Complaint(), HasSubstr("-> Say at one time"));
  EXPECT_EQ(testimony_.stopped, 0U);
}

TEST_F(ManagerWitnessTest, ComplainsOfACoreThatAsksForAnotherProgress) {
  Tell(event::SeatReady{{Role::kWorker, 0, 1}});
  witness_.HearProgress({Role::kWorker, 0, 1}, 7);
  Tell(event::Stopping{});
  EXPECT_THAT(Complaint(), HasSubstr("told the same again"));
}

}  // namespace
}  // namespace obit
