#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/unix_socket.h"
#include "jobs/analysis_queue.h"
#include "jobs/hook_queue.h"
#include "process/event_loop.h"
#include "server/clerk_books.h"
#include "server/clerk_index.h"
#include "server/clerk_log.h"
#include "server/clerk_metrics.h"
#include "server/clerk_numbers.h"
#include "server/clerk_recovery.h"
#include "server/clerk_repeats.h"
#include "server/clerk_retention.h"
#include "server/clerk_room.h"
#include "server/pattern_watch.h"
#include "server/role.h"

namespace obit {

/// The clerk (role.h): takes orders of the manager, and does all that touches the store, the log, the
/// journal, analyses and hooks. It may wait for a disk; nothing waits for it.
class Clerk {
 public:
  /// `loop` outlives it.
  Clerk(EventLoop& loop, ClerkSetup setup);
  Clerk(Clerk&&) = delete;

  /// Tells what was left by the dead, and takes orders from then on. The loop stops when the manager says so
  /// or is gone.
  [[nodiscard]] Result<void> Start();
  /// Programs cannot be started any more: works off what the manager has sent, and stops the loop.
  void GiveUp(std::string_view why);

 private:
  void TakeOrders();
  /// The orders that can be read now. False: there will be no more.
  [[nodiscard]] bool TakeSome(int most);
  void OnMessage(Message message);
  void OnOrder(const Order& order, std::string_view text, std::vector<Fd> fds);
  void OnBookOrder(const Order& order, std::string_view text, std::vector<Fd> fds);
  void OnRepeats(const Order& order);
  void OnCount(const Order& order, std::string_view text);
  void OnLoad(const Order::Load& load);
  void NoteLostTold();
  void TellLost(std::uint64_t lost);
  void OnConfigure(std::string_view text);

  void OnCommitted(const CrashSummary& summary, const CrashRecord& record, Fd mapped, Fd trace);
  void OnDone(CrashKey crash, bool kept);
  void OnRemoved(RetentionReason why, bool whole, std::uint64_t bytes);
  void OnLost(const CrashRecord& record, const std::string& why);
  void OnReport(const CrashLocation& crash, CrashOwner owner, JobUser user, const CrashHandling& handling,
                const Report& report);
  void OnPattern(const PatternWatch::State& now);
  void FillMetrics(Metrics& metrics);
  void TellWantsMapped();
  void TellTraces();

  void Stop();
  void StopIfDone();
  void End();

  void Say(ClerkWord word, std::string_view id = {}, std::string_view text = {});

  EventLoop& loop_;
  ClerkSetup setup_;
  ClerkLog log_;
  ClerkIndex index_;
  ClerkNumbers numbers_;
  UndeadChildren undead_;
  AnalysisQueue analyses_;
  HookQueue hooks_;
  ClerkMetrics metrics_;
  ClerkRepeats repeats_;
  ClerkBooks books_;
  ClerkRecovery recovery_;
  ClerkRetention retention_;
  ClerkRoom room_;
  PatternWatch pattern_;
  EventSource orders_, stop_;
  std::optional<bool> wants_mapped_;
  std::optional<std::size_t> traces_room_;
  bool stopping_ = false, ended_ = false, said_lost_fds_ = false;
};

}  // namespace obit
