// What others have the supervisor do: a configuration, the news for the manager, and the end.

#include "server/test_supervisor.h"

namespace obit {
namespace {

using testing::board;
using testing::kRoles;
using testing::NumberOf;

class SupervisorOrdersTest : public testing::SupervisorTest {};

TEST_F(SupervisorOrdersTest, PassesAConfigurationOnAndForksMoreWorkers) {
  Begin();
  Config config;
  config.slots = 3;
  RunThrough({{[&] { return Sets(1); }, [&] { supervisor_->Configure(config, "[capture]\nslots = 3\n"); }},
              {[&] {
                 return board->text_bytes > 0 && Filled(Role::kWorker) == 3 && Filled(Role::kPump) == 3 &&
                        Started(Role::kWorker) == 3;
               },
               [&] {
                 EXPECT_STREQ(board->text.data(), "[capture]\nslots = 3\n");
                 config.slots = 1;
                 supervisor_->Configure(config, "[capture]\nslots = 1\n");
                 Signal(Role::kManager, SIGKILL);
               }},
              {[&] {
                return Filled(Role::kClerk) == 2 && Filled(Role::kWorker) == 4 && Filled(Role::kPump) == 4;
              }}});
}

TEST_F(SupervisorOrdersTest, AManagerThatTakesNoNewsIsReplacedAndNothingWaitsForIt) {
  Begin();
  RunThrough({{[&] { return Sets(1); },
               [&] {
                 board->deaf = true;
                 const std::string text(4096, '#');
                 for (std::size_t i = 0; i < SupervisorNewsQueue::kMax / 2; ++i)
                   supervisor_->Configure({}, text);
                 Signal(Role::kPump, SIGKILL);  // is seen and replaced, whatever the manager does
               }},
              {[&] { return Started(Role::kPump) > 4 && Started(Role::kManager) == 1; },
               [&] {
                 EXPECT_FALSE(HungUp());
                 for (std::size_t i = 0; i < SupervisorNewsQueue::kMax; ++i) supervisor_->Configure({}, "#");
               }},
              {[&] { return Started(Role::kManager) == 2; }, [] { board->deaf = false; }},
              {[&] { return Filled(Role::kClerk) == 2 && HungUp(); }}});
}

TEST_F(SupervisorOrdersTest, WhatTheManagerDidNotTakeAtOnceComesInOrder) {
  Begin();
  RunThrough({{[&] { return Sets(1); },
               [&] {
                 board->deaf = true;
                 for (int i = 1; i <= 500; ++i)
                   supervisor_->Configure({.slots = 2}, std::string(static_cast<std::size_t>(2000 + i), '#'));
                 EXPECT_LT(board->text_bytes, 2500);
                 board->deaf = false;
               }},
              {[&] { return board->text_bytes == 2500; }}});
  EXPECT_EQ(Started(Role::kManager), 1);
}

TEST_F(SupervisorOrdersTest, StopsWhenTheManagerHasEndedAllAndLeavesNobody) {
  Begin();
  std::array<int, kRoles> last{};
  RunThrough({{[&] { return Sets(1); },
               [&] {
                 for (std::size_t i = 0; i < kRoles; ++i) last[i] = board->last[i];
                 supervisor_->Stop();
                 supervisor_->Stop();
               }},
              {[&] { return stopped_ == 1; }}});
  EXPECT_EQ(board->stops, 1);
  EXPECT_EQ(Started(Role::kManager), 1);
  for (const int pid : last) EXPECT_TRUE(pid == 0 || Gone(pid));
}

TEST_F(SupervisorOrdersTest, KeepsNoSocketOpenOnceTheManagerIsToStop) {
  auto pair = *MakeSocketPair(SOCK_SEQPACKET);
  setup_.listeners.pipe = std::move(pair.first);
  board->obeys = false;
  Begin();
  RunThrough({{[&] { return Sets(1); }, [&] { supervisor_->Stop(); }}, {[&] {
                pollfd look{pair.second.get(), 0, 0};
                return ::poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) != 0;
              }}});
  EXPECT_EQ(stopped_, 0);
}

TEST_F(SupervisorOrdersTest, KeepsInheritedSocketsForTheNextServer) {
  auto pair = *MakeSocketPair(SOCK_SEQPACKET);
  setup_.listeners.pipe = std::move(pair.first);
  setup_.listeners.inherited = true;
  board->obeys = false;
  Begin();
  RunThrough({{[&] { return Sets(1); }, [&] { supervisor_->Stop(); }}, {[&] { return board->stops == 1; }}});
  pollfd look{pair.second.get(), 0, 0};
  EXPECT_EQ(::poll(&look, 1, 50), 0);
}

TEST_F(SupervisorOrdersTest, NoClerkComesAfterOneThatHasFinishedTheStop) {
  setup_.lives.clerk = [](const ClerkSetup&) {
    testing::Start(Role::kClerk);
    while (board->stops == 0) ::poll(nullptr, 0, 1);
    ::_exit(Started(Role::kClerk) == 1 ? 1 : 0);
  };
  board->obeys = false;
  Begin();
  RunThrough({{[&] { return Sets(1); }, [&] { supervisor_->Stop(); }},
              {[&] { return Vacated(Role::kClerk) == 2; },
               [&] {
                 supervisor_->Configure({.slots = 2}, "#");
                 Signal(Role::kInspector, SIGKILL);
               }},
              {[&] { return Filled(Role::kInspector) == 3; }}});
  EXPECT_EQ(Filled(Role::kClerk), 2) << "the first had not finished";
}

TEST_F(SupervisorOrdersTest, StopsAlsoWhenNobodyObeys) {
  setup_.config.stop_timeout = std::chrono::seconds(0);
  setup_.times.stop_grace = setup_.times.stop_clerk = std::chrono::milliseconds(10);
  board->obeys = false;
  board->stubborn = true;
  Begin();
  int manager = 0;
  RunThrough({{[&] { return Sets(1); },
               [&] {
                 manager = board->last[NumberOf(Role::kManager)];
                 supervisor_->Stop();
               }},
              {[&] { return stopped_ == 1 && Gone(manager); }}});
}

TEST_F(SupervisorOrdersTest, StopsWhenTheManagerDiesOfIt) {
  board->obeys = false;
  Begin();
  RunThrough({{[&] { return Sets(1); },
               [&] {
                 supervisor_->Stop();
                 Signal(Role::kManager, SIGKILL);
               }},
              {[&] { return stopped_ == 1 && HungUp(); }}});
  EXPECT_EQ(Started(Role::kManager), 1);
}

TEST_F(SupervisorOrdersTest, AllDieWithTheSupervisor) {
  testing::Child main(::fork());
  if (main.pid() == 0) {
    EventLoop loop = *EventLoop::Create();
    const auto made = Supervisor::Create(loop, std::move(setup_),
                                         {.listening = [] {}, .stopped = [](const Result<void>&) {}});
    (void)loop.Run();
    ::_exit(1);
  }
  RunThrough({{[&] { return Sets(1); }, [&] { ::kill(main.pid(), SIGKILL); }}, {[&] {
                for (const auto& last : board->last)
                  if (last != 0 && !Gone(last)) return false;
                return true;
              }}});
}

}  // namespace
}  // namespace obit
