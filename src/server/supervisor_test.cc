#include "server/supervisor.h"

#include "base/log.h"
#include "server/supervisor_errand.h"
#include "server/test_supervisor.h"

namespace obit {
namespace {

using testing::board;
using testing::NumberOf;

class SupervisorTest : public testing::SupervisorTest {};

TEST_F(SupervisorTest, FillsAllSeatsAndTellsTheManager) {
  Begin();
  RunThrough({{[&] { return Sets(1) && listening_ == 1; }}});
  EXPECT_EQ(board->generation, 1U);
  EXPECT_EQ(board->counters, 3U) << "each worker has a counter of its own";
  EXPECT_FALSE(HungUp());
  EXPECT_EQ(stopped_, 0);
}

TEST_F(SupervisorTest, NobodyHasMemoryOfOthersButForHisWork) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::unique_ptr<SupervisorErrand> errand;
  std::string of_errand;
  Begin();
  RunThrough({{[&] { return Sets(1); },
               [&] {
                 errand = *SupervisorErrand::Start(
                     loop_, []() -> Result<std::string> { return std::to_string(testing::SharedBytes()); },
                     std::chrono::seconds(20),
                     [&](const Result<std::string>& answer) { of_errand = answer.value_or("none"); });
               }},
              {[&] { return !of_errand.empty(); }}});
  EXPECT_EQ(of_errand, "0");
  const auto& shared = board->shared;
  EXPECT_EQ(shared[NumberOf(Role::kInspector)], page) << "the door's board";
  EXPECT_EQ(shared[NumberOf(Role::kPump)], 0U);
  EXPECT_EQ(shared[NumberOf(Role::kWorker)], page) << "its counter";
  EXPECT_GT(shared[NumberOf(Role::kClerk)], page) << "the ledger, and the counts, one page";
  EXPECT_EQ(shared[NumberOf(Role::kManager)],
            shared[NumberOf(Role::kClerk)] - page + (ProgressBoard::kCounters + 1) * page);
}

class SupervisorReplaces : public SupervisorTest,
                           public ::testing::WithParamInterface<std::pair<Role, int>> {};

TEST_P(SupervisorReplaces, WhoeverDiesOrStands) {
  const auto [role, signal] = GetParam();
  const int seats = role == Role::kClerk ? 1 : 2;
  int old = 0;
  Begin();
  RunThrough({{[&] { return Sets(1); },
               [&, role = role, signal = signal] {
                 old = board->last[NumberOf(role)];
                 Signal(role, signal);
               }},
              {[&, role = role] {
                return Vacated(role) == 1 && Filled(role) == seats + 1 && Started(role) == seats + 1 &&
                       Gone(old);
              }}});
  EXPECT_EQ(board->vacated_generation[NumberOf(role)], 1U);
  EXPECT_EQ(board->filled_generation[NumberOf(role)], 2U);
  EXPECT_EQ(Started(Role::kManager), 1);
}

INSTANTIATE_TEST_SUITE_P(OfEachRole, SupervisorReplaces,
                         ::testing::Values(std::pair(Role::kInspector, SIGKILL),
                                           std::pair(Role::kInspector, SIGSTOP),
                                           std::pair(Role::kWorker, SIGKILL),
                                           std::pair(Role::kWorker, SIGSTOP), std::pair(Role::kPump, SIGKILL),
                                           std::pair(Role::kPump, SIGSTOP), std::pair(Role::kClerk, SIGKILL),
                                           std::pair(Role::kClerk, SIGSTOP)),
                         [](const auto& tested) {
                           return std::string(NameOf(tested.param.first)) +
                                  (tested.param.second == SIGKILL ? "Killed" : "Stopped");
                         });

class SupervisorLosesTheManager : public SupervisorTest, public ::testing::WithParamInterface<int> {};

TEST_P(SupervisorLosesTheManager, HangsUpAndBeginsAnew) {
  Begin();
  RunThrough(
      {{[&] { return Sets(1) && listening_ == 1 && !HungUp(); }, [&] { Signal(Role::kManager, GetParam()); }},
       {[&] { return Sets(2) && HungUp(); }}});
  EXPECT_EQ(board->generation, 2U);
  EXPECT_EQ(listening_, 1) << "the service manager is told once";
  EXPECT_EQ(Vacated(Role::kWorker), 0) << "the next manager knows nothing of the old ones";
}

INSTANTIATE_TEST_SUITE_P(BySignal, SupervisorLosesTheManager, ::testing::Values(SIGKILL, SIGSTOP, SIGSEGV));

TEST_F(SupervisorTest, ASetThatDoesNotEndIsKilledBeforeTheNextClerkComes) {
  setup_.times.old_clerk = std::chrono::milliseconds(5);
  setup_.times.old_workers = std::chrono::milliseconds(20);
  board->stubborn = true;
  std::array<int, 2> old{};
  Begin();
  RunThrough({{[&] { return Sets(1); },
               [&] {
                 old = {board->last[NumberOf(Role::kClerk)], board->last[NumberOf(Role::kWorker)]};
                 Signal(Role::kManager, SIGKILL);
               }},
              {[&] { return Started(Role::kWorker) == 4; },
               [&] { EXPECT_EQ(Started(Role::kClerk), Gone(old[1]) ? Started(Role::kClerk) : 1); }},
              {[&] { return Sets(2); }, [&] { EXPECT_TRUE(Gone(old[0]) && Gone(old[1])); }}});
}

TEST_F(SupervisorTest, LeavesBehindWhoTheManagerSaysAndTellsItsDeathInTheEnd) {
  int old = 0;
  Begin();
  const auto say = [](unsigned generation) {
    board->word_generation = generation;
    board->word = static_cast<unsigned>(ManagerWord::Kind::kLeaveBehind) + 1;
  };
  RunThrough({{[&] { return Sets(1); }, [&] { say(1); }},
              {[&] { return Filled(Role::kWorker) == 3 && Started(Role::kWorker) == 3; },
               [&] {
                 EXPECT_EQ(board->filled_generation[NumberOf(Role::kWorker)], 2U);
                 EXPECT_EQ(board->counters, 7U) << "the one that was left behind still counts in its own";
                 EXPECT_EQ(Vacated(Role::kWorker), 0);
                 old = board->last[NumberOf(Role::kWorker)];
                 say(1);  // of one that does not sit there any more: nothing comes of it
                 Signal(Role::kWorker, SIGKILL);
               }},
              {[&] { return Vacated(Role::kWorker) == 1 && Filled(Role::kWorker) == 4; },
               [&] { EXPECT_EQ(board->vacated_generation[NumberOf(Role::kWorker)], 2U); }}});
  EXPECT_EQ(board->filled_generation[NumberOf(Role::kWorker)], 3U);
  EXPECT_TRUE(Gone(old));
}

TEST_F(SupervisorTest, SaysWhenTooManyAreLeftBehind) {
  setup_.limits.left_behind = 0;
  Begin();
  std::string said;
  GiveLogTo([&](Severity, std::string_view text) { said.append(text).append("\n"); });
  RunThrough(
      {{[&] { return Sets(1); },
        [] {
          board->word_generation = 1;
          board->word = static_cast<unsigned>(ManagerWord::Kind::kLeaveBehind) + 1;
        }},
       {[&] { return said.contains("worker 0 keeps its seat: 0 processes are left behind already\n"); }}});
  GiveLogTo({});
  EXPECT_EQ(Started(Role::kWorker), 2);
}

TEST_F(SupervisorTest, GoesOnTryingOneThatDiesAtOnce) {
  board->hopeless_clerk = true;
  Begin();
  RunThrough({{[&] { return Vacated(Role::kClerk) >= 4; }, [] { board->hopeless_clerk = false; }}, {[&] {
                return Filled(Role::kClerk) == Started(Role::kClerk) &&
                       Vacated(Role::kClerk) + 1 == Filled(Role::kClerk);
              }}});
  EXPECT_EQ(Started(Role::kManager), 1);
}

TEST_F(SupervisorTest, EndsWhenNoManagerComesToAccept) {
  board->hopeless_manager = SIGABRT;
  Begin();
  RunThrough({{[&] { return stopped_ == 1; }}});
  EXPECT_EQ(Started(Role::kManager), 5);
  EXPECT_THAT(ended_, testing::FailsWith(ECHILD));
  EXPECT_EQ(ended_.error().what, "the manager ended 5 times in a row before it accepted crashes");
  EXPECT_EQ(listening_, 0);
}

TEST_F(SupervisorTest, EndsAlsoWhenAnEarlierManagerAccepted) {
  Begin();
  RunThrough({{[&] { return Sets(1) && listening_ == 1; },
               [] {
                 board->hopeless_manager = SIGABRT;
                 Signal(Role::kManager, SIGKILL);
               }},
              {[&] { return stopped_ == 1; }}});
  EXPECT_EQ(Started(Role::kManager), 6);
  EXPECT_THAT(ended_, testing::FailsWith(ECHILD));
}

TEST_F(SupervisorTest, GoesOnWhenOthersKillTheManager) {
  board->hopeless_manager = SIGKILL;
  Begin();
  RunThrough({{[&] { return Started(Role::kManager) >= 7; }, [] { board->hopeless_manager = 0; }},
              {[&] { return listening_ == 1; }}});
  EXPECT_EQ(stopped_, 0);
}

TEST_F(SupervisorTest, AManagerThatAnswersIsLeftAlone) {
  Begin();
  std::deque<Moment> moments{{[&] { return Sets(1); }}};
  for (int i = 1; i <= 3; ++i)
    moments.push_back(
        {[&, i] { return board->pings == i - 1; }, [&] { EXPECT_TRUE(supervisor_->CheckManager()); }});
  RunThrough(std::move(moments));
  EXPECT_EQ(Started(Role::kManager), 1);
}

TEST_F(SupervisorTest, AManagerThatDoesNotAnswerIsReplaced) {
  Begin();
  RunThrough({{[&] { return Sets(1) && listening_ == 1 && !HungUp(); },
               [&] {
                 board->deaf = true;
                 EXPECT_TRUE(supervisor_->CheckManager());
                 EXPECT_FALSE(HungUp());
                 EXPECT_TRUE(supervisor_->CheckManager()) << "it is killed";
                 EXPECT_TRUE(HungUp());
                 EXPECT_FALSE(supervisor_->CheckManager()) << "nobody has seen it die";
                 board->deaf = false;
               }},
              {[&] { return Sets(2); }, [&] { EXPECT_TRUE(supervisor_->CheckManager()); }},
              {[&] { return board->pings >= 1; }, [&] { EXPECT_TRUE(supervisor_->CheckManager()); }}});
  EXPECT_EQ(Started(Role::kManager), 2);
}

/// A seat that pauses after each kill would be empty when the next crash comes.
TEST_F(SupervisorTest, WhomTheManagerKillsIsReplacedAtOnce) {
  setup_.times.seats.first_pause = setup_.times.seats.longest_pause = std::chrono::seconds(100);
  Begin();
  std::deque<Moment> moments{{[&] { return Sets(1); }}};
  for (const Role role : {Role::kInspector, Role::kWorker, Role::kPump})
    for (int i = 1; i <= 3; ++i)
      moments.push_back(
          {[=] { return Filled(role) == i + 1 && Started(role) == i + 1; }, [=] { Signal(role, SIGKILL); }});
  moments.push_back({[&] { return Filled(Role::kPump) == 5; }});
  RunThrough(std::move(moments));
}

TEST_F(SupervisorTest, ReplacesAllOfThoseWhoDieTogether) {
  setup_.inspectors = 16;
  setup_.times.seats.longest_pause = std::chrono::milliseconds(4);
  setup_.lives.inspector = [](const InspectorSetup&) {
    testing::Start(Role::kInspector);
    while (!board->hopeless) ::poll(nullptr, 0, 1);
    ::_exit(1);
  };
  const auto all_there = [] { return Filled(Role::kInspector) - Vacated(Role::kInspector) == 16; };
  std::deque<Moment> moments;
  for (int i = 1; i <= 5; ++i) {
    moments.push_back({all_there, [] { board->hopeless = true; }});
    moments.push_back({[i] { return Vacated(Role::kInspector) >= 20 * i; }, [] { board->hopeless = false; }});
  }
  moments.push_back({all_there});
  Begin();
  RunThrough(std::move(moments));
}

TEST_F(SupervisorTest, LinesWaitForTheNextClerk) {
  Begin();
  RunThrough({{[&] { return Sets(1); },
               [] {
                 Signal(Role::kClerk, SIGKILL);
                 for (int i = 0; i < 20; ++i) Log(Severity::kInfo, "hello");
               }},
              {[&] { return board->lines == 20; }}});
}

}  // namespace
}  // namespace obit
