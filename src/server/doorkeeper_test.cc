#include "server/doorkeeper.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/unix_socket.h"
#include "dump/coredump_client.h"
#include "kernel/coredump_exchange.h"
#include "server/fake_inspector.h"
#include "server/test_crashes.h"

namespace obit {
namespace {

using testing::Child;
using testing::kNoAnswer;

/// The test's own process keeps the door; others crash, and are the kernel for that.
class DoorkeeperTest : public ::testing::Test {
 protected:
  DoorkeeperTest() {
    path_ = "/dev/shm/obit-door-test.XXXXXX";
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    board_.SetKey({1, 2});
    auto passage = *MakeSocketPair(SOCK_SEQPACKET), manager = *MakeSocketPair(SOCK_SEQPACKET);
    post_ = {*ListenUnix(path_ + "/socket", SOCK_STREAM, 64), std::move(passage.second)};
    passage_ = std::move(passage.first);
    manager_ = std::move(manager.first);
    manager_end_ = std::move(manager.second);
    peers_.connected = [this](const Fd& connection) -> Result<PeerIdentity> {
      if (!is_kernel_) return Refuse(EPERM, "not the kernel");
      const pid_t pid = OBIT_TRY(PeerCredentials(connection)).pid;
      return PeerIdentity{OBIT_TRY(PeerPidfd(connection)), {.pid = pid, .uid = 1000}, true, 1000};
    };
  }
  ~DoorkeeperTest() override { std::filesystem::remove_all(path_); }

  /// A process that crashes now, and is told something only then.
  Child& Crash(testing::Dump dump = testing::DumpNothing) {
    children_.emplace_back(::fork());
    Child& child = children_.back();
    if (child.pid() == 0) {
      for (Fd* other : {&passage_, &manager_, &manager_end_, &post_.listener, &post_.passage}) other->Reset();
      auto connection = ConnectUnix(path_ + "/socket", SOCK_STREAM);
      if (!connection) ::_exit(kNoAnswer);
      ::fcntl(connection->get(), F_SETFL, 0);
      ++shared_->connected;
      ::_exit(dump(*connection));
    }
    EXPECT_TRUE(testing::Until([&] { return shared_->connected == static_cast<int>(children_.size()); }));
    return child;
  }
  /// For so long, ns, from now on, crashes that look like this are turned away.
  void TurnAway(std::int64_t time = 3'600'000'000'000) {
    board_.TurnAway(2, board_.HashOf(inspector_.glance), BoottimeNow() + time);
  }
  void Keep() { KeepDoor(post_, manager_end_, board_, peers_, inspector_); }
  /// As long as that takes, however slow the machine is.
  void KeepUntil(const std::function<bool()>& done) {
    std::thread manager([&] {
      EXPECT_TRUE(testing::Until(done));
      EXPECT_THAT(SendMessage(manager_, std::as_bytes(std::span("go")), {}), testing::Succeeds());
    });
    Keep();
    manager.join();
  }
  void KeepUntilOneIsLedOn() {
    KeepUntil([this] {
      pollfd passage{passage_.get(), POLLIN, 0};
      return ::poll(&passage, 1, 0) == 1;
    });
  }
  /// What the kernel offered and was answered; a rejection has no mark that anybody reads.
  static int Rejected(Fd& server) {
    const auto agreement = Negotiate(server, {});
    return agreement ? static_cast<int>(agreement->mask) : kNoAnswer;
  }
  /// Whose connection was led on; 0: nobody's.
  pid_t LedOn() {
    auto message = ReceiveMessage(passage_, 16, MSG_DONTWAIT);
    if (!message || message->fds.empty()) return 0;
    led_on_.push_back(std::move(message->fds[0]));
    return PeerCredentials(led_on_.back())->pid;
  }

  std::string path_;
  DoorBoard board_ = *DoorBoard::Map(-1, 0);
  DoorPost post_;
  Fd passage_, manager_, manager_end_;
  PeerIdentifier peers_;
  FakeInspector inspector_;
  bool is_kernel_ = true;
  testing::SharedMemory<testing::Shared> shared_;
  std::deque<Child> children_;
  std::vector<Fd> led_on_;
};

TEST_F(DoorkeeperTest, TurnsAwayAndCounts) {
  Child& first = Crash(Rejected);
  Child& second = Crash(Rejected);
  TurnAway();
  const std::int64_t before = RealtimeNow();
  KeepUntil([this] { return board_.counted(2).crashes == 2; });
  EXPECT_EQ(WEXITSTATUS(first.Wait()), kCoredumpReject);
  EXPECT_EQ(WEXITSTATUS(second.Wait()), kCoredumpReject);
  EXPECT_EQ(board_.counted(2).crashes, 2U);
  EXPECT_GE(board_.counted(2).last, before);
  EXPECT_EQ(board_.FreeHand(), 0U);
  EXPECT_EQ(LedOn(), 0);
}

TEST_F(DoorkeeperTest, LeadsOthersOnAsTheyCame) {
  const pid_t pid = Crash(Rejected).pid();
  TurnAway();
  inspector_.glance.offset += 4;
  KeepUntilOneIsLedOn();
  EXPECT_EQ(board_.counted(2).crashes, 0U);
  EXPECT_EQ(board_.held(0)->pid, pid) << "until the manager has it";
  ASSERT_EQ(LedOn(), pid);
  const auto request = PeekRequest(led_on_[0]);
  EXPECT_TRUE(request && *request) << "the whole request is there";
  led_on_.clear();
}

TEST_F(DoorkeeperTest, LeadsOnWhoCannotBeLookedAt) {
  const pid_t pid = Crash().pid();
  TurnAway();
  inspector_.gone = true;
  KeepUntilOneIsLedOn();
  EXPECT_EQ(LedOn(), pid);
  led_on_.clear();
}

TEST_F(DoorkeeperTest, LeadsOnWhoIsNotTheKernel) {
  const pid_t pid = Crash().pid();
  TurnAway();
  is_kernel_ = false;
  KeepUntilOneIsLedOn();
  EXPECT_EQ(LedOn(), pid);
  EXPECT_EQ(board_.held(0)->pid, DoorBoard::Held::kUnknown);
  led_on_.clear();
}

TEST_F(DoorkeeperTest, LeadsOnACoreWithoutARequest) {
  const pid_t pid = Crash([](Fd& server) {
                      (void)WriteAll(server, std::as_bytes(std::span("\177ELF and so on")));
                      return 0;
                    }).pid();
  ASSERT_TRUE(testing::Until([&] { return HasExited(*OpenPidfd(pid)); }));
  TurnAway();
  peers_.connected = [](const Fd& connection) -> Result<PeerIdentity> {
    return PeerIdentity{OBIT_TRY(OpenPidfd(::getpid())), {.pid = PeerCredentials(connection)->pid}, true, 0};
  };
  KeepUntilOneIsLedOn();
  EXPECT_EQ(LedOn(), pid);
  EXPECT_EQ(board_.counted(2).crashes, 0U);
}

TEST_F(DoorkeeperTest, LeavesWhenNothingIsToBeTurnedAway) {
  Crash(Rejected);
  TurnAway(-1'000'000'000);
  Keep();  // ends
  EXPECT_EQ(board_.taken(), 0U) << "it waits for the manager";
  post_.listener.Reset();
}

TEST_F(DoorkeeperTest, LeavesWhenTheManagerSaysSoOrDies) {
  TurnAway();
  ASSERT_THAT(SendMessage(manager_, std::as_bytes(std::span("go")), {}), testing::Succeeds());
  Keep();  // ends
  TurnAway();
  manager_.Reset();
  Keep();
}

TEST_F(DoorkeeperTest, AcceptsNoMoreThanHeHasHandsFor) {
  for (std::size_t i = 0; i < DoorBoard::kHands; ++i) board_.Take(i, {.pid = 1});
  Crash(Rejected);
  TurnAway(200'000'000);
  Keep();
  EXPECT_EQ(board_.taken(), DoorBoard::kHands) << "it waits for the manager";
  post_.listener.Reset();
}

TEST_F(DoorkeeperTest, WhatTheDeadManagerDoesNotTakeStaysOnTheBoard) {
  const pid_t first = Crash().pid();
  Crash();
  TurnAway();
  inspector_.glance.offset += 4;
  passage_.Reset();
  Keep();  // ends
  EXPECT_EQ(board_.held(0)->pid, first);
  EXPECT_EQ(board_.taken(), 2U) << "once without a name: the second one waits for the next manager";
  post_.listener.Reset();
}

}  // namespace
}  // namespace obit
