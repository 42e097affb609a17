#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "crash/record.h"
#include "kernel/coredump_socket.h"
#include "kernel/pipe_message.h"
#include "policy/config.h"
#include "policy/crash_loop.h"
#include "server/event_loop.h"
#include "server/peer.h"
#include "store/sequence.h"

namespace obit {

/// A crash whose core is to be captured: the process waits behind `connection`.
struct Arrival {
  CrashRecord record;  ///< what /proc told; capture.transport and detail are set
  Fd connection;       ///< non-blocking
  Executable exe;      ///< may be empty
  Peer peer;           ///< the process; without pidfd if it cannot be told
  bool is_socket = true;
  std::optional<CoredumpRequest> offer;  ///< of a "@@" connection, not answered yet
  std::int64_t accepted = 0;             ///< CLOCK_MONOTONIC, ns
  std::uint64_t core_max = UINT64_MAX;   ///< Decision::core_max
};

/// The way in: accepts connections, makes sure that the kernel made them, reads the facts of the process,
/// decides, and answers by itself what needs no core. Never blocks and never reads a core.
class Intake {
 public:
  struct Listeners {
    Fd coredump;  ///< SOCK_STREAM, listening, non-blocking: the kernel connects ("@" and "@@")
    Fd pipe;      ///< SOCK_SEQPACKET, the same: obit-pipe connects; may be empty
    /// Another process holds them open too: what waits in their backlogs is for the next server.
    bool inherited = false;
  };
  /// Each crash ends in exactly one of these, called on the loop.
  struct Handler {
    std::function<void(Arrival)> capture;
    std::function<void(CrashRecord)> record;  ///< no core: an event, or failed; the process is free already
    std::function<void(const CrashRecord&)> rejected;
    /// One more of a crash loop: only counted. See TakeRepeats.
    std::function<void()> repeated;
  };
  struct Counters {
    std::uint64_t crashes = 0;
    std::uint64_t refused = 0;  ///< connections of others than the kernel
    std::uint64_t visits =
        0;  ///< those that root or this user only opened and closed: obit status and its kin
  };

  /// How long a peer may keep the exchange of request and mark waiting. The kernel sends both at once.
  static constexpr std::chrono::seconds kExchangeTimeout{10};

  /// Each crash gets a number of `numbers` when it is accepted.
  Intake(EventLoop& loop, Listeners listeners, const Config& config, PeerInspector& inspector,
         Sequence& numbers, Handler handler);
  ~Intake();

  [[nodiscard]] Result<void> Listen();
  /// Closes the listeners, after what waits there was accepted, unless it waits for the next server.
  void StopListening();
  void Reconfigure(const Config& config) { config_ = config; }
  /// Crashes that are accepted and not yet handed on.
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  /// What crash loops repeated since the last call.
  [[nodiscard]] std::vector<CrashLoops::Count> TakeRepeats() { return loops_.TakeChanged(); }
  /// The crash is not in the store (any more): no others are only counted for its sake.
  void ForgetKept(std::string_view id) { loops_.Forget(id); }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct Pending;

  void AcceptCoredumps(int most);
  void AcceptHelpers(int most);
  void OnHelperMessage(Pending& pending);
  void OnRequest(Pending& pending);
  void OnMark(Pending& pending);
  [[nodiscard]] bool IsRepeat(const Pending& pending);
  void Inspect(Pending& pending, int known_signal);
  void DecideAndAnswer(Pending& pending);
  void CountRefused(const Error& why);
  void RefuseUnlessVisitor(Fd connection, Error why);
  void OnVisitor(std::uint64_t id);
  Pending* Add(Fd connection);
  std::uint64_t NextNumber();
  void Refill();
  void SayWithoutFile(const Error& why);
  void Await(Pending& pending, void (Intake::*next)(Pending&));
  void OnTimeout(Pending& pending);
  static void StopWaiting(Pending& pending);
  void EndAsRecord(Pending& pending, CrashOutcome outcome, std::string reason);
  void EndAsCounted(Pending& pending);
  Arrival Remove(Pending& pending);

  EventLoop& loop_;
  Listeners listeners_;
  Config config_;
  PeerInspector& inspector_;
  Sequence& numbers_;
  bool said_without_file_ = false;
  Handler handler_;
  CrashRecord::Host host_;
  EventSource coredumps_, helpers_;
  CrashLoops loops_;
  std::map<Pending*, std::unique_ptr<Pending>> pending_;
  struct Visitor;
  std::map<std::uint64_t, Visitor> visitors_;  // in the order of their coming
  std::uint64_t next_visitor_ = 0;
  Counters counters_;
};

}  // namespace obit
