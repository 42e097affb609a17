#pragma once

// For tests: a supervisor, and stand-ins for all whom it forks.

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/test_support.h"
#include "base/unix_socket.h"
#include "process/test_support.h"
#include "server/supervisor.h"

namespace obit::testing {

inline constexpr std::size_t kRoles = 6;
inline std::size_t NumberOf(Role role) { return static_cast<std::size_t>(role); }

/// What the stand-ins tell the test, and what it asks of them: memory that all share.
struct Board {
  std::array<std::atomic<int>, kRoles> started{}, last{};  // how many, and the pid of the last
  std::array<std::atomic<std::size_t>, kRoles> shared{};   // bytes of memory that it shares
  // What the manager writes and reads.
  std::array<std::atomic<int>, kRoles> filled{}, vacated{};
  std::array<std::atomic<unsigned>, kRoles> filled_generation{}, vacated_generation{};
  std::atomic<unsigned> generation{0}, counters{0};
  std::atomic<int> stops{0}, pings{0}, lines{0}, text_bytes{0};
  std::array<char, 4096> text{};
  std::atomic<bool> deaf{false};            // the manager reads nothing
  std::atomic<bool> obeys{true};            // the manager says kStopped
  std::atomic<bool> stubborn{false};        // workers and clerk do not end with their socket
  std::atomic<bool> hopeless_clerk{false};  // it dies at once
  std::atomic<int> hopeless_manager{0};     // it dies of this signal before it listens
  std::atomic<bool> hopeless{false};        // so do inspectors that look at it
  std::atomic<unsigned> word{0};            // a ManagerWord::Kind to say, +1; about the worker 0
  std::atomic<unsigned> word_generation{0};
};
inline Board* board = nullptr;

/// Bytes of the caller's memory that others can write, but for the board.
inline std::size_t SharedBytes() {
  std::size_t bytes = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%zx-%zx %4s", &begin, &end, rights) != 3 || rights[3] != 's') continue;
    if (begin != reinterpret_cast<std::uintptr_t>(board)) bytes += end - begin;
  }
  return bytes;
}

inline void Start(Role role) {
  board->shared[NumberOf(role)] = SharedBytes();
  board->last[NumberOf(role)] = ::getpid();
  ++board->started[NumberOf(role)];
}

/// Until the socket ends.
[[noreturn]] inline void WaitForEnd(const Fd& socket, bool ends) {
  while (!ends) ::pause();
  for (;;) {
    const auto message = ReceiveMessage(socket, kMessageMax, 0);
    if (!message || message->bytes.empty()) ::_exit(0);
    while (board->stubborn) ::pause();
  }
}

class StandInManager {
 public:
  explicit StandInManager(ManagerSetup setup) : setup_(std::move(setup)) {}

  [[noreturn]] void Run() {
    board->generation = setup_.generation;
    Start(Role::kManager);
    if (board->hopeless_manager != 0) ::raise(board->hopeless_manager);
    Say({.kind = ManagerWord::Kind::kHold, .crash = 7}, setup_.listeners.coredump.get());
    Say({.kind = ManagerWord::Kind::kListening});
    for (;;) {
      pollfd ready{setup_.supervisor.get(), POLLIN, 0};
      ::poll(&ready, board->deaf ? 0 : 1, 1);
      if (const unsigned word = board->word.exchange(0); word != 0)
        Say({.kind = static_cast<ManagerWord::Kind>(word - 1),
             .role = Role::kWorker,
             .generation = board->word_generation});
      if (ready.revents == 0 || board->deaf) continue;
      auto message = ReceiveMessage(setup_.supervisor, kMessageMax, 0);
      if (!message || message->bytes.size() < sizeof(SupervisorNews)) ::_exit(0);
      On(*message);
    }
  }

 private:
  void Say(const ManagerWord& word, int fd = -1) {
    const std::array fds{fd};
    (void)SendMessage(setup_.supervisor, std::as_bytes(std::span(&word, 1)), std::span(fds).first(fd >= 0));
  }

  void On(Message& message) {
    SupervisorNews news;
    std::memcpy(&news, message.bytes.data(), sizeof news);
    switch (news.kind) {
      case SupervisorNews::Kind::kFilled:
        if (message.fds.size() != 2) ::_exit(9);
        if (news.role == Role::kWorker) board->counters |= 1U << news.counter;
        kept_.push_back(std::move(message.fds[0]));
        board->filled_generation[NumberOf(news.role)] = news.generation;
        ++board->filled[NumberOf(news.role)];
        return;
      case SupervisorNews::Kind::kVacated:
        board->vacated_generation[NumberOf(news.role)] = news.generation;
        ++board->vacated[NumberOf(news.role)];
        return;
      case SupervisorNews::Kind::kConfigure: {
        const std::size_t bytes = message.bytes.size() - sizeof news;
        std::memcpy(board->text.data(), message.bytes.data() + sizeof news,
                    std::min(bytes, board->text.size()));
        board->text_bytes = static_cast<int>(bytes);
        return;
      }
      case SupervisorNews::Kind::kStop:
        setup_.listeners = {};
        ++board->stops;
        if (board->obeys) Say({.kind = ManagerWord::Kind::kStopped});
        return;
      case SupervisorNews::Kind::kPing:
        Say({.kind = ManagerWord::Kind::kPong});
        ++board->pings;
        return;
    }
  }

  ManagerSetup setup_;
  std::vector<Fd> kept_;
};

inline void RunStandInClerk(ClerkSetup setup) {
  Start(Role::kClerk);
  if (board->hopeless_clerk) ::_exit(1);
  while (board->stubborn) ::pause();
  for (;;) {
    std::array<pollfd, 2> ready{pollfd{setup.manager.get(), POLLIN, 0}, pollfd{setup.log.get(), POLLIN, 0}};
    ::poll(ready.data(), ready.size(), -1);
    while (const auto line = ReceiveLogLine(setup.log))
      if (line->text.starts_with("hello")) ++board->lines;
    if (ready[0].revents != 0) ::_exit(0);
  }
}

class SupervisorTest : public LoopTest {
 protected:
  SupervisorTest() {
    void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board = new (memory) Board;
    setup_.store = folder_ / "store";
    EXPECT_THAT(Store::Create(setup_.store), Succeeds());
    setup_.incoming = *Open(setup_.store + "/incoming", O_RDONLY | O_DIRECTORY);
    auto pair = *MakeSocketPair(SOCK_STREAM);
    connection_ = std::move(pair.first);
    setup_.listeners.coredump = std::move(pair.second);
    setup_.inspectors = 2;
    setup_.config.slots = 2;
    setup_.times.seats.first_pause = std::chrono::milliseconds(1);
    setup_.lives = {
        .manager = [](ManagerSetup setup) { StandInManager(std::move(setup)).Run(); },
        .inspector =
            [](InspectorSetup setup) {
              Start(Role::kInspector);
              WaitForEnd(setup.manager, false);  // as one that hangs
            },
        .worker =
            [](WorkerSetup setup) {
              if (::openat(setup.incoming.get(), ".", O_RDONLY) < 0) ::_exit(1);
              ++*setup.progress;
              Start(Role::kWorker);
              WaitForEnd(setup.manager, !board->stubborn);
            },
        .pump =
            [](PumpSetup setup) {
              Start(Role::kPump);
              WaitForEnd(setup.manager, false);
            },
        .clerk = RunStandInClerk,
    };
  }
  ~SupervisorTest() override {
    supervisor_.reset();
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    ::munmap(board, sizeof *board);
  }

  void Begin() {
    auto made = Supervisor::Create(loop_, std::move(setup_),
                                   {.listening = [this] { ++listening_; },
                                    .stopped =
                                        [this](Result<void> ended) {
                                          ++stopped_;
                                          ended_ = std::move(ended);
                                        }});
    ASSERT_THAT(made, Succeeds());
    supervisor_ = std::move(*made);
  }

  static int Started(Role role) { return board->started[NumberOf(role)]; }
  static int Filled(Role role) { return board->filled[NumberOf(role)]; }
  static int Vacated(Role role) { return board->vacated[NumberOf(role)]; }
  static void Signal(Role role, int signal) { ::kill(board->last[NumberOf(role)], signal); }
  /// So many sets have come, and the manager knows all of them. One more may have been forked for a manager
  /// that was about to be dead.
  static bool Sets(int count) {
    return Started(Role::kManager) == count && Started(Role::kClerk) >= count &&
           Filled(Role::kClerk) == count && Filled(Role::kInspector) == 2 * count &&
           Started(Role::kInspector) >= 2 * count && Filled(Role::kWorker) == 2 * count &&
           Started(Role::kWorker) >= 2 * count && Filled(Role::kPump) == 2 * count &&
           Started(Role::kPump) >= 2 * count;
  }
  [[nodiscard]] bool HungUp() const {
    char byte = 0;
    return ::recv(connection_.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  /// Waits until it is gone, reaped by the supervisor.
  static bool Gone(int pid) { return ::kill(pid, 0) < 0; }

  TemporaryFolder folder_;
  Supervisor::Setup setup_{.ledger = *Ledger::Open("")};
  Fd connection_;  // the other end is what the manager holds
  std::unique_ptr<Supervisor> supervisor_;
  int listening_ = 0, stopped_ = 0;
  Result<void> ended_;
};

}  // namespace obit::testing
