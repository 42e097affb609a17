#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "process/event_loop.h"
#include "server/role.h"
#include "server/role_process.h"
#include "server/supervisor_news.h"
#include "server/supervisor_seats.h"

namespace obit {

/// obitd's main process: it holds the listening sockets, forks all others and replaces them. It waits for
/// nothing but events, and reads no path.
///
/// When the manager dies, the captures that it knew are hung up, and everybody gets a successor: workers of
/// the old set finish what they have, and end with the socket to the manager; the next clerk comes when they
/// have, and completes the books. When the supervisor itself dies, all others die with it (PR_SET_PDEATHSIG):
/// its service manager starts it anew, and the ledger and incoming/ tell what was open.
class Supervisor {
 public:
  /// What the processes do; none of these returns. Tests have their own.
  struct Lives {
    std::function<void(ManagerSetup)> manager;
    std::function<void(InspectorSetup)> inspector;  ///< without its `inspector`: an open file of its own
    std::function<void(WorkerSetup)> worker;
    std::function<void(PumpSetup)> pump;
    std::function<void(ClerkSetup)> clerk;
  };
  struct Times {
    using Nanoseconds = std::chrono::nanoseconds;
    SupervisorSeats::Times seats;
    Nanoseconds old_clerk = std::chrono::seconds(5);     ///< to end after its manager, then SIGKILL
    Nanoseconds old_workers = std::chrono::seconds(20);  ///< the same
    Nanoseconds die = std::chrono::seconds(1);           ///< after SIGKILL, before nobody waits any more
    Nanoseconds stop_grace = std::chrono::seconds(10);   ///< of the manager, beyond Config::stop_timeout
    Nanoseconds stop_clerk = std::chrono::seconds(10);   ///< to finish, after the manager
  };
  struct Setup {
    Listeners listeners;
    PeerIdentifier identifier;
    UserRanges user_ranges = {};
    Config config;
    ManagerLimits limits;
    std::uint32_t inspectors = 4;
    std::string store;     ///< its path, for the clerks
    Fd incoming;           ///< the folder; not the one that is locked for the server
    Fd userfaults;         ///< WorkerSetup
    std::string analyzer;  ///< and the others: as ClerkSetup
    std::vector<std::string> programs;
    std::vector<std::string> sockets;
    Ledger ledger;
    Lives lives;
    Times times;
  };
  struct Handler {
    std::function<void()> listening;  ///< crashes are accepted, for the first time
    /// What is wrong with the kernel's core pattern; empty: it leads here.
    std::function<void(std::string)> pattern;
    /// Nothing is left, after Stop(); or it cannot go on, and says why.
    std::function<void(Result<void>)> stopped;
  };

  /// Lines go to a clerk from here on. `loop` outlives this object; SIGCHLD is this object's.
  [[nodiscard]] static Result<std::unique_ptr<Supervisor>> Create(EventLoop& loop, Setup setup,
                                                                  Handler handler);
  /// Kills all that are left, and waits for nobody.
  ~Supervisor();
  Supervisor(Supervisor&&) = delete;

  /// Takes another configuration; `text` is the same, as ParseConfig reads it. More workers are forked at
  /// once; those beyond a smaller number stay until they die, or the manager does.
  void Configure(const Config& config, const std::string& text);
  /// For each beat of a watchdog: asks the manager whether it is there. One that has not answered by the next
  /// call is killed; false: it does not die either, so nothing works until all are started anew.
  [[nodiscard]] bool CheckManager();
  /// Ends all in order.
  void Stop();

 private:
  using Process = SupervisorSeats::Process;
  enum class Phase : std::uint8_t { kRunning, kStopping, kEnding, kOver };

  Supervisor(EventLoop& loop, Setup setup, Handler handler, ProgressBoard progress, SharedCounts counts);
  Result<void> Begin();

  // Forking.
  void Fill();
  void FillRole(Role role, std::int64_t now);
  Result<void> Fork(const Seat& seat);
  [[nodiscard]] Result<void> Lend(Role role, std::uint32_t counter, bool have) const;
  [[nodiscard]] std::function<void(Fd)> LifeOf(const Seat& seat, std::uint32_t counter);
  Result<void> Welcome(Process& process, RoleProcess child);
  [[nodiscard]] std::optional<std::uint32_t> FreeCounter();
  [[nodiscard]] bool ClerkWaits(std::int64_t now);
  void SetCounts();

  // Words of the manager.
  void OnWords();
  void TakeLastWords();
  void OnWord(const ManagerWord& word, std::vector<Fd> fds);
  void LeaveBehind(const ManagerWord& word);

  // Deaths.
  void OnChildren();
  void OnStopped(pid_t pid);
  void OnDeath(const Process& process, int status);
  void LoseManager();
  void JudgeManager(const Process& process, int status);
  void HangUp();
  void EndLater(Process& process, std::chrono::nanoseconds patience);
  void KillOverdue();
  void Kill(Process& process);
  void SetAlarm(std::int64_t now);

  // The end.
  void EndManager();
  void KillAll();
  void Finish();

  EventLoop& loop_;
  Setup setup_;
  Handler handler_;
  ProgressBoard progress_;
  SharedCounts counts_;
  SupervisorSeats seats_;
  Phase phase_ = Phase::kRunning;
  bool listening_ = false, finished_ = false;
  Result<void> ended_;          // what Handler::stopped is told
  std::uint32_t manager_ = 0;   // its generation in the ledger; 0: there is none
  bool accepts_ = false;        // it has said so
  int vain_managers_ = 0;       // so many in a row ended before they did
  std::uint32_t asked_ = 0;     // the manager that has not answered yet
  bool clerk_is_done_ = false;  // it has ended in order
  std::unique_ptr<SupervisorNewsQueue> news_;
  std::map<CrashKey, Fd> held_;  // connections of captures, to be shut down if the manager dies
  Fd log_in_, log_out_;          // lines wait there while there is no clerk
  EventSource words_, children_, alarm_, end_;
};

}  // namespace obit
