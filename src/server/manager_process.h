#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/unix_socket.h"
#include "kernel/coredump_exchange.h"
#include "kernel/pipe_message.h"
#include "manager/manager.h"
#include "server/clerk_orders.h"
#include "server/crash_shares.h"
#include "server/descriptor_budget.h"
#include "server/facts_budget.h"
#include "server/poller.h"
#include "server/role.h"
#include "server/visitors.h"

namespace obit {

/// The manager's loop: does what its core commands (manager/manager.h), and tells it what happens. No call in
/// it waits: every socket of it is non-blocking, and it has no file.
class ManagerProcess {
 public:
  ManagerProcess(ManagerSetup setup, Poller poller);
  /// Until obitd is to stop and has stopped, or the supervisor is gone.
  void Run();

 private:
  /// A crash, and what is open of it.
  struct OpenCrash {
    RecordHead head;
    Fd pidfd;
    Fd connection;  ///< the coredump socket; of a captured pipe, a copy of the socket into which its pump
                    ///< writes
    Fd pipe;        ///< until a pump has it
    Fd pump_end;    ///< the other end of `connection`, until the pump has it with the pipe
    std::optional<CoredumpExchange> exchange;
    std::int64_t accepted = 0;  ///< CLOCK_MONOTONIC, ns
    PidfdInfo peer;
    std::string facts;
    FactsBudget::Room facts_room;
    char comm[16] = {};
    Fd bag, mapped, trace;              ///< ends that are handed on
    std::optional<std::uint32_t> pump;  ///< the seat that has its pipe
    std::optional<std::size_t> ledger_slot;
    std::optional<uid_t> user;  ///< whose share of what can be open it takes
    bool unlisted = false;      ///< it has no slot of the ledger
    bool named_by_kernel = false;
    bool wants_core = true;   ///< as far as its RLIMIT_CORE is known
    bool has_share = true;    ///< but of one that a dead manager left
    bool hold_told = false;   ///< the supervisor and a worker have copies of the connection
    bool was_passed = false;  ///< an inspector may have a copy of the connection
    bool ordered = false;     ///< the clerk has been told, facts included: more of them are of no use
    bool released = false;
    bool settled = false;  ///< released, and gone: nothing is open of it any more
  };
  /// One of whose process nothing is known yet.
  struct BegunCrash {
    RecordHead head;
    std::optional<std::size_t> slot;  ///< of the ledger, if that is not full
  };
  struct Member {
    Seat seat;
    Fd socket, pidfd;
    std::uint32_t counter = 0;
    std::string killed;       ///< why the manager killed it
    CrashKey crash = 0;       ///< that it has, or was asked about last
    bool only_safe = false;   ///< of an inspector: no more than safe facts are to come
    std::uint32_t rules = 0;  ///< the number of those that it was told; 0: none
    bool has_ended = false;   ///< nothing more comes of its socket
    bool is_full = false;     ///< it is watched for room
    bool is_dead = false;
  };
  /// What a descriptor of the poller is.
  struct Watched {
    enum class What : std::uint8_t {
      kSupervisor,
      kCoredump,
      kHelper,
      kConnection,
      kProcess,
      kMember,
      kPassage,
      kVisitor
    };
    What what = What::kSupervisor;
    CrashKey crash = 0;
    Seat seat;
  };

  // manager_process.cc
  void Handle(const Watched& watched, int fd);
  void Feed(Event event);
  void Execute(const Command& command);
  void OnSupervisor();
  void Tell(const ManagerWord& word, const Fd& fd, std::string text = {});
  void FlushWords();
  void FlushClerk();
  Manager::Load TellLoad();
  void SaveSites();
  void NoteChange();
  void BeginStop();
  void Unwatch(const Fd& fd);
  void OnExit(CrashKey crash);
  [[nodiscard]] int Timeout() const;
  void OnTime();

  /// Until it is tried again to send something, where memory is short or too many descriptors are under way.
  static constexpr std::int64_t kShortagePause = 100'000'000;  // ns
  /// Crashes from the door in one round.
  static constexpr int kDoorAtOnce = 64;
  static constexpr const char* kTooMany =
      "too many crashes are open or wait for the disk, of this user or in all";

  // manager_arrivals.cc
  void Listen();
  void AcceptCoredumps(int most);
  void AcceptHelpers(int most);
  [[nodiscard]] BegunCrash Begin(Transport transport, pid_t pid = 0);
  CrashKey AddCrash(const BegunCrash& begun, PeerIdentity peer);
  void Arrive(CrashKey key, Transport transport, std::uint64_t core_limit);
  void AskRoom();
  void UpdateLedger(const OpenCrash& crash);
  void OnConnection(CrashKey key);
  [[nodiscard]] std::uint64_t NextNumber();
  void Refuse(Fd connection, Error why);
  [[nodiscard]] bool LoseOne(const Fd& listener);
  [[nodiscard]] Fd AcceptNext(const Fd& listener);
  bool TakeConnection(Fd connection, bool is_on_board);
  void PauseAccept(std::string_view why);
  void ResumeAccept();

  // manager_room.cc
  [[nodiscard]] bool HasRoom();
  [[nodiscard]] bool HasShare(const PeerIdentity& peer) const;
  [[nodiscard]] CrashShares::User ShareOf(const PeerIdentity& peer) const;
  void Lose(const PeerIdentity& peer, std::string_view why);
  void Settle(OpenCrash& crash);
  void DropBag(OpenCrash& crash);
  void ClearSlot(OpenCrash& crash);

  // manager_helpers.cc
  void OnHelper(Fd helper);
  void OnHelperReadable(int fd);
  void LackFor(const Fd& helper, const Message& message);
  void TakeHelper(const Fd& helper, Message message);
  void LetGo(const Fd& asker, const std::string& id);
  [[nodiscard]] bool AddHelpersCrash(const BegunCrash& begun, const PipeMessage& told, std::vector<Fd> fds);

  // manager_members.cc
  void OnFilled(const SupervisorNews& news, Fd socket, Fd pidfd);
  void OnVacated(const SupervisorNews& news);
  void OnMember(const Seat& seat, int most);
  static void NoteName(const Findings& findings, OpenCrash& crash);
  void TakeRule(const Findings& findings, OpenCrash& crash, event::SiteFound& site) const;
  void OnFindings(const Seat& seat, const Message& message);
  void OnReport(Member& member, const Message& message);
  void OnClerkWord(const Message& message);
  [[nodiscard]] Member* Find(const Seat& seat);
  [[nodiscard]] static bool IsGone(const Member* member);
  [[nodiscard]] Member* Pump(std::uint32_t index);
  void KillMember(Member& member, std::string why);
  void FailMember(Member& member, const Error& error);

  // manager_questions.cc
  void Do(const command::AskSite& command);
  void Do(const command::AskFacts& command);
  void Do(const command::AskActivity& command);
  [[nodiscard]] bool Ask(const Seat& seat, const Question& question, const std::vector<int>& fds);
  [[nodiscard]] Question QuestionOf(CrashKey key, Question::Kind kind) const;
  [[nodiscard]] bool TellRules(Member& member);

  // manager_door.cc
  void Do(const command::KeepDoor& command);
  void Do(const command::TurnAway& command);
  void Do(const command::LookAtDoor& command);
  void Do(const command::LeaveDoor& command);
  void TellDoor(std::optional<bool> moves);
  void OnPassage();
  void TakePassed(Message message);
  [[nodiscard]] bool IsOpen(const Fd& connection) const;
  void OnDoorLeft(const Seat& seat);
  void RecordHeld();
  [[nodiscard]] bool CanReceiveOne();
  void CloseCoredumpListener();

  // manager_commands.cc
  void Do(const command::Answer& command);
  void Do(const command::Release& command);
  void Do(const command::KillProcess& command);
  void Do(const command::StartCapture& command);
  void Do(const command::StartRecovery& command);
  void Do(const command::Record& command);
  void Do(const command::Commit& command);
  void Do(const command::KeepWithoutCore& command);
  void Do(const command::Count& command);
  void Do(const command::NoteRepeats& command);
  void Do(const command::Kill& command);
  void Do(const command::LeaveBehind& command);
  void Do(const command::Forget& command);
  void Do(const command::HoldJobs& command);
  void Do(const command::Say& command);
  void Do(const command::Stopped& command);
  void HandoverFailed(CrashKey crash, const Seat& seat, event::HandoverFailed::Cause cause, std::string why);
  void GiveOrder(OpenCrash& crash, Order order, std::string_view reason, Fd mapped, Fd trace = {});
  static void NoteLowered(const Lowered& lowered, OpenCrash& crash);
  void NoteReleased(CrashKey key, OpenCrash& crash);
  void NoteOwnerKilled(CrashKey key, OpenCrash& crash) const;
  void LookAtLeaving(std::int64_t until);

  // manager_pumps.cc
  [[nodiscard]] static Result<void> MakePumpSocket(OpenCrash& crash);
  static void DropPumpSocket(OpenCrash& crash);
  void GivePipe(CrashKey key, OpenCrash& crash);
  void GivePipes();

  ManagerSetup setup_;
  Poller poller_;
  Manager manager_;
  FactsBudget facts_;
  ClerkOrders orders_;
  Visitors visitors_;
  DescriptorBudget budget_;
  std::map<int, Watched> watched_;  // by descriptor
  CrashShares shares_;
  std::map<CrashKey, OpenCrash> crashes_;
  std::size_t bags_ =
      0;  ///< of memory and program, that crashes have: those beside them the clerk is to close
  std::map<Seat, Member> members_;
  std::map<int, std::pair<Fd, std::int64_t>>
      helpers_;  // obit-pipe's that have not said a word; with their deadline
  std::deque<Event> events_;
  bool feeding_ = false;
  struct Word {
    std::string bytes;
    Fd fd;
    CrashKey held = 0;  ///< that it tells the supervisor of
  };
  std::deque<Word> words_;                                 // to the supervisor
  std::deque<std::pair<CrashKey, std::int64_t>> leaving_;  // released; when to look whether it has gone
  std::optional<Seat> clerk_;
  std::optional<Seat> keeper_;  // of the door
  Fd passage_;                  // from who keeps it, or has, until its end
  std::uint64_t taken_ = 0;     // DoorBoard::taken(), at the last look
  struct Range {
    std::uint64_t next = 0, end = 0;
  };
  Range numbers_;
  std::uint32_t rules_ = 1;  // the number of those in force
  CrashKey next_crash_ = 1;
  CrashIds ids_;
  std::uint64_t refused_ = 0, replaced_ = 0, pauses_ = 0;
  std::int64_t numbers_due_ = INT64_MAX;    // when the clerk is told the numbers
  std::int64_t flush_at_ = INT64_MAX;       // when it is tried again whether orders can be sent
  std::int64_t give_pipes_at_ = INT64_MAX;  // when it is tried again to give pumps their pipes
  std::int64_t words_at_ = INT64_MAX;       // the same of words to the supervisor
  std::int64_t listen_at_ = 0;              // at the latest, whatever became of the clerk
  std::int64_t resume_at_ = INT64_MAX;      ///< while `paused_`
  std::int64_t room_told_ = INT64_MIN / 2;  // when the clerk said last what room there is, or was asked
  Fd spare_;                                ///< closed for a moment where no other descriptor can be had
  bool words_wait_ = false;
  bool listening_ = false, paused_ = false, stopping_ = false, stopped_ = false, wants_mapped_ = false;
  bool done_ = false;
};

}  // namespace obit
